package evaluate

import (
	"cmp"
	"slices"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
)

// Monitored are the alarms that customers had in a period, wherever they come from, and what happened to the customers.
type Monitored struct {
	From, To  time.Time
	Customers int                              // how many were heard
	Episodes  []simulate.Episode               // in any order; those of many customers are left out
	Alarms    map[heartbeat.CustomerID][]Alarm // in order
}

// Judge compares the alarms with the episodes. An episode that the period does not contain to its last minute decides nothing.
func (m *Monitored) Judge(name, title string) Judged {
	over := period{from: detect.TimeOf(m.From), to: detect.TimeOf(m.To)}
	own := map[heartbeat.CustomerID][]simulate.Episode{}
	for _, e := range m.Episodes {
		if e.Customer != 0 {
			own[e.Customer] = append(own[e.Customer], e)
		}
	}
	for customer := range m.Alarms {
		if own[customer] == nil {
			own[customer] = []simulate.Episode{}
		}
	}
	t := newScore()
	t.judged = milliseconds(m.Customers) * over.length()
	for customer, episodes := range own {
		slices.SortFunc(episodes, func(a, b simulate.Episode) int { return cmp.Or(a.Onset.Compare(b.Onset), cmp.Compare(a.ID, b.ID)) })
		t.judge(over, episodes, m.Alarms[customer])
	}
	return t.result(name, title)
}

// Same reports whether two have the same alarms in their period. Whether an alarm is a reopening does not count: the database
// also opens one again that was not acknowledged yet.
func (m *Monitored) Same(other *Monitored) bool {
	for _, pair := range [...][2]*Monitored{{m, other}, {other, m}} {
		for customer, alarms := range pair[0].Alarms {
			same := slices.EqualFunc(pair[0].within(alarms), pair[1].within(pair[1].Alarms[customer]), func(a, b Alarm) bool {
				return a.Condition == b.Condition && a.Raised == b.Raised && a.Urgent == b.Urgent
			})
			if !same {
				return false
			}
		}
	}
	return true
}

// within returns the alarms of the period, ordered by time and condition.
func (m *Monitored) within(alarms []Alarm) []Alarm {
	in := slices.DeleteFunc(slices.Clone(alarms), func(a Alarm) bool { return a.Raised < detect.TimeOf(m.From) || a.Raised >= detect.TimeOf(m.To) })
	slices.SortStableFunc(in, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(a.Raised, b.Raised), cmp.Compare(a.Condition, b.Condition))
	})
	return in
}
