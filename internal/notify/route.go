package notify

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Router decides by a file which destinations hear of an event.
type Router struct{ file *File }

// NewRouter returns a Router on a file that Read or Parse returned.
func NewRouter(file *File) *Router { return &Router{file} }

// Route returns the destinations of an event that calls people, in the order of their names, and reports whether it is one. An event
// of a tier goes to the routes of that tier, and where none matches to those of the next lower one, so that a repeat reaches
// somebody where there are fewer tiers. Other events go to whoever was called, which the store knows.
func (r *Router) Route(event *Event, now time.Time) (destinations []string, calls bool) {
	if !typeOf(event.Kind).calls() {
		return nil, false
	}
	for tier := event.Tier; tier >= 0; tier-- {
		found := false
		for i := range r.file.Routes {
			route := &r.file.Routes[i]
			if route.Tier == tier && route.matches(event) {
				found = true
				if !route.muted(now) {
					destinations = append(destinations, route.To...)
				}
			}
		}
		if found {
			break
		}
	}
	slices.Sort(destinations)
	return slices.Compact(destinations), true
}

// Next returns the destinations that are called when one cannot be reached, and their tier: the first one above the lowest tier of the
// unreached and above the event's, if it is itself Undelivered, that has others.
func (r *Router) Next(unreached string, event *Event, now time.Time) (destinations []string, tier int16) {
	above := int16(maxTier)
	for i := range r.file.Routes {
		if route := &r.file.Routes[i]; route.matches(event) && slices.Contains(route.To, unreached) {
			above = min(above, route.Tier)
		}
	}
	for tier := max(above, event.Tier) + 1; tier <= maxTier; tier++ {
		for i := range r.file.Routes {
			route := &r.file.Routes[i]
			if route.Tier == tier && route.matches(event) && !route.muted(now) {
				destinations = append(destinations, route.To...)
			}
		}
		destinations = slices.DeleteFunc(destinations, func(name string) bool { return name == unreached })
		if len(destinations) > 0 {
			slices.Sort(destinations)
			return slices.Compact(destinations), tier
		}
	}
	return nil, 0
}

// KeepsState reports whether a destination is told the state of alarms instead of messages.
func (r *Router) KeepsState(destination string) bool {
	return r.file.Destinations[destination].Alertmanager != nil
}

// Incidents reports whether a destination shows each alarm as an incident of its own.
func (r *Router) Incidents(destination string) bool {
	return r.file.Destinations[destination].PagerDuty != nil
}

// Reports tells whether an event is reported at all.
func Reports(event *Event) bool { return typeOf(event.Kind) != "" }

// matches compares all but the tier and the time.
func (r *Route) matches(event *Event) bool {
	return event.Alarm.Priority >= r.lowest &&
		(len(r.Conditions) == 0 || slices.Contains(r.Conditions, event.Alarm.Condition)) &&
		(len(r.Cohorts) == 0 || slices.Contains(r.Cohorts, event.Alarm.Cohort))
}

func (r *Route) muted(now time.Time) bool {
	return slices.ContainsFunc(r.Mute, func(m Mute) bool { return m.covers(now) })
}

// Mute is a time of day in which a route calls no one. A span over midnight belongs to the day on which it begins.
type Mute struct {
	From     string   `yaml:"from"` // such as 22:00
	To       string   `yaml:"to"`   // not included; the same as From is the whole day
	Days     []string `yaml:"days"` // such as sat; empty is every day
	TimeZone string   `yaml:"time_zone"`

	from, to int // minutes of the day
	location *time.Location
}

var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // as time.Weekday counts

func (m *Mute) check() (err error) {
	if m.from, err = minutes(m.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if m.to, err = minutes(m.To); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	for _, day := range m.Days {
		if !slices.Contains(days, day) {
			return fmt.Errorf("days: %q: want mon, tue, wed, thu, fri, sat or sun", day)
		}
	}
	if m.TimeZone == "" {
		return errors.New("time_zone: want one such as Europe/Berlin or UTC")
	}
	if m.location, err = time.LoadLocation(m.TimeZone); err != nil {
		return fmt.Errorf("time_zone: %w", err)
	}
	return nil
}

func minutes(text string) (int, error) {
	parsed, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q: want a time such as 22:00", text)
	}
	return 60*parsed.Hour() + parsed.Minute(), nil
}

func (m *Mute) covers(now time.Time) bool {
	local := now.In(m.location)
	minute, day := 60*local.Hour()+local.Minute(), local.Weekday()
	switch {
	case m.from < m.to && (minute < m.from || minute >= m.to):
		return false
	case m.from < m.to, m.from == m.to, minute >= m.from:
	case minute < m.to:
		day = (day + 6) % 7 // began yesterday
	default:
		return false
	}
	return len(m.Days) == 0 || slices.Contains(m.Days, days[day])
}
