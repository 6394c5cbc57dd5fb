package detect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"heartbeat/internal/heartbeat"
)

// Member says to which cohort a customer belongs from a time on; the empty cohort is none.
type Member struct {
	Customer heartbeat.CustomerID
	Cohort   string
	From     Time
}

// LimitHistory resolves the limits in force for a customer at a time. It is an immutable snapshot: a change of limits is a
// new one. Any number of goroutines may use it.
type LimitHistory struct {
	defaults Limits
	fleet    timeline
	people   map[heartbeat.CustomerID]person // only those of whom anything is set
}

type person struct {
	limits  timeline
	cohorts []membership // by from
}

type membership struct {
	from   Time
	limits timeline // nil: of no cohort
}

// timeline is what one scope sets over time: sections in which nothing changes, by from.
type timeline []section

type section struct {
	from      Time
	low, high heartbeat.BPM // 0 where it sets none
	hours     []hourly      // win over the two
}

type hourly struct {
	Hours
	low, high heartbeat.BPM
}

// NewLimitHistory builds the snapshot. It refuses an entry that is not valid, and two of one scope in force together
// whose hours overlap without being the same: which of them counts would be a guess. Its error is a *LimitError in a chain.
func NewLimitHistory(defaults Limits, limits []Limit, members []Member) (*LimitHistory, error) {
	if err := defaults.validate(); err != nil {
		return nil, fmt.Errorf("default limits: %w", err)
	}
	type subject struct {
		scope    Scope
		cohort   string
		customer heartbeat.CustomerID
	}
	entries := map[subject][]Limit{}
	for i := range limits {
		if err := limits[i].Validate(); err != nil {
			return nil, fmt.Errorf("limit %d: %w", limits[i].ID, err)
		}
		of := subject{limits[i].Scope, limits[i].Cohort, limits[i].Customer}
		entries[of] = append(entries[of], limits[i])
	}
	h := &LimitHistory{defaults: defaults, people: map[heartbeat.CustomerID]person{}}
	cohorts := map[string]timeline{}
	for of, its := range entries {
		line, err := newTimeline(its)
		if err != nil {
			return nil, err
		}
		switch of.scope {
		case Fleet:
			h.fleet = line
		case Cohort:
			cohorts[of.cohort] = line
		case Person:
			h.people[of.customer] = person{limits: line}
		}
	}
	byTime := slices.SortedStableFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.From, b.From) })
	for _, m := range byTime {
		p := h.people[m.Customer]
		p.cohorts = append(p.cohorts, membership{m.From, cohorts[m.Cohort]})
		h.people[m.Customer] = p
	}
	return h, nil
}

// newTimeline cuts the time at every beginning and end, and decides each section: of entries that set the same side in the
// same hours, the one in force latest wins, of several from one moment on the one made last.
func newTimeline(limits []Limit) (timeline, error) {
	slices.SortStableFunc(limits, func(a, b Limit) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.ID, b.ID))
	})
	if err := checkOverlap(limits); err != nil {
		return nil, err
	}
	cuts := map[Time]bool{}
	for i := range limits {
		cuts[limits[i].From] = true
		if limits[i].Until != 0 {
			cuts[limits[i].Until] = true
		}
	}
	var line timeline
	for _, from := range slices.Sorted(maps.Keys(cuts)) {
		line = append(line, newSection(from, limits))
	}
	return line, nil
}

// newSection applies the limits in force at a time, the winning ones last.
func newSection(from Time, limits []Limit) section {
	s := section{from: from}
	for i := range limits {
		l := &limits[i]
		if l.From > from || l.Until != 0 && l.Until <= from {
			continue
		}
		low, high := &s.low, &s.high
		if !l.Hours.allDay() {
			at := slices.IndexFunc(s.hours, func(h hourly) bool { return h.Hours == l.Hours })
			if at < 0 {
				at = len(s.hours)
				s.hours = append(s.hours, hourly{Hours: l.Hours})
			}
			low, high = &s.hours[at].low, &s.hours[at].high
		}
		*low, *high = cmp.Or(l.Low, *low), cmp.Or(l.High, *high)
	}
	return s
}

func checkOverlap(limits []Limit) error {
	for i := range limits {
		for j := range i {
			a, b := &limits[j], &limits[i] // a is not later
			together := a.Until == 0 || a.Until > b.From
			hourly := !a.Hours.allDay() && !b.Hours.allDay() && a.Hours != b.Hours
			if together && hourly && a.Hours.overlaps(b.Hours) {
				return fmt.Errorf("limit %d: %w", b.ID, &LimitError{
					"hours", fmt.Sprintf("%d to %d", b.Hours.From, b.Hours.To),
					fmt.Sprintf("hours that do not overlap those of limit %d, or its end first", a.ID),
				})
			}
		}
	}
	return nil
}

// At returns the limits in force for a customer at the time used of a reading: person before cohort before fleet before
// the defaults, for each of the two sides.
func (h *LimitHistory) At(customer heartbeat.CustomerID, at Time) Limits {
	limits := h.defaults
	h.fleet.apply(at, &limits)
	if len(h.people) == 0 {
		return limits
	}
	if p, ok := h.people[customer]; ok {
		for i := len(p.cohorts) - 1; i >= 0; i-- {
			if p.cohorts[i].from <= at {
				p.cohorts[i].limits.apply(at, &limits)
				break
			}
		}
		p.limits.apply(at, &limits)
	}
	return limits
}

// apply puts what is set at a time over the limits.
func (t timeline) apply(at Time, limits *Limits) {
	s := t.section(at)
	if s == nil {
		return
	}
	limits.set(s.low, s.high)
	for i := range s.hours {
		if s.hours[i].contain(at) {
			limits.set(s.hours[i].low, s.hours[i].high)
		}
	}
}

// section returns the one that contains a time, nil before the first. Most readings are of the newest.
func (t timeline) section(at Time) *section {
	if len(t) == 0 {
		return nil
	}
	if newest := &t[len(t)-1]; newest.from <= at {
		return newest
	}
	after, _ := slices.BinarySearchFunc(t, at, func(s section, at Time) int {
		if s.from <= at {
			return -1
		}
		return 1
	})
	if after == 0 {
		return nil
	}
	return &t[after-1]
}

func (l *Limits) set(low, high heartbeat.BPM) {
	l.Low, l.High = cmp.Or(low, l.Low), cmp.Or(high, l.High)
}
