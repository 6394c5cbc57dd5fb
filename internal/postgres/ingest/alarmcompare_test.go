package ingest_test

import (
	"fmt"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"

	"heartbeat/internal/alarm"
)

// settle moves the reference by a batch and actions of the same moment, in an order that gives what happened. There must be one.
func (m *alarmModel) settle(p int, transitions []alarm.Transition, actions []operation, outcomes []alarm.Code) {
	stored := m.read()
	var tried []string
	for order := range permutations(len(actions) + 1) {
		candidate := m.reference.clone()
		fits := true
		for _, i := range order {
			if i == len(actions) {
				candidate.apply(int32(p), transitions)
			} else {
				fits = fits && candidate.act(actions[i].id, actions[i].Action, m.clock) == outcomes[i]
			}
		}
		diff := stored.difference(candidate)
		if fits && diff == "" {
			m.reference = candidate
			m.count("actions meanwhile", len(actions))
			return
		}
		tried = append(tried, fmt.Sprintf("order %v, outcomes fit: %v\n%s", order, fits, diff))
	}
	m.Fatalf("no order of %+v with outcomes %v and the transitions %+v explains the alarms:\n%s", actions, outcomes, transitions, strings.Join(tried, "\n"))
}

// permutations yields all orders of the first n numbers.
func permutations(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		var extend func(order []int) bool
		extend = func(order []int) bool {
			if len(order) == n {
				return yield(slices.Clone(order))
			}
			for i := range n {
				if !slices.Contains(order, i) && !extend(append(order, i)) {
					return false
				}
			}
			return true
		}
		extend(nil)
	}
}

// compare compares every column of every alarm, and the history of those that changed.
func (m *alarmModel) compare() {
	stored := m.read()
	if diff := stored.difference(m.reference); diff != "" {
		m.Fatalf("alarms differ (-reference +database):\n%s", diff)
	}
	open := map[string]bool{}
	for i := range stored.alarms {
		a := &stored.alarms[i]
		if key := a.Subject + string(a.Condition); a.ClosedAt.IsZero() {
			if open[key] {
				m.Fatalf("two alarms of %s, %s are open", a.Subject, a.Condition)
			}
			open[key] = true
		}
		if history := stored.changed[a.ID]; history != nil {
			m.fold(a, history)
			m.checked[a.ID] = a.Version
		}
	}
}

// storedAlarms are the alarms of a case in the database, with the histories of those that changed since they were compared last.
type storedAlarms struct {
	alarms  []alarm.Alarm
	changed map[alarm.ID][]alarm.Event
}

func (m *alarmModel) read() storedAlarms {
	alarms, err := m.system.stored(m.Context(), m.subjects)
	m.must(err)
	stored := storedAlarms{alarms, map[alarm.ID][]alarm.Event{}}
	for _, a := range alarms {
		if m.checked[a.ID] == a.Version {
			continue
		}
		stored.changed[a.ID], err = m.system.alarms.History(m.Context(), a.ID)
		m.must(err)
	}
	return stored
}

// difference compares all columns of all alarms, and the histories that were read.
func (s storedAlarms) difference(r *reference) string {
	want := []alarm.Alarm{}
	histories := ""
	for _, h := range r.alarms {
		want = append(want, h.Alarm)
		if history, ok := s.changed[h.ID]; ok {
			histories += gocmp.Diff(fmt.Sprint(h.events), fmt.Sprint(happenings(history)))
		}
	}
	byID := func(a, b alarm.Alarm) int { return slices.Compare(a.ID[:], b.ID[:]) }
	slices.SortFunc(want, byID)
	slices.SortFunc(s.alarms, byID)
	if slices.Equal(want, s.alarms) {
		return histories
	}
	return gocmp.Diff(want, s.alarms) + histories
}

func happenings(history []alarm.Event) (all []happened) {
	for _, e := range history {
		h := happened{e.Kind, e.Actor, -1}
		if e.Position != nil {
			h.at = e.Offset
		}
		all = append(all, h)
	}
	return all
}

// fold folds the history of an alarm to its row.
func (m *alarmModel) fold(a *alarm.Alarm, history []alarm.Event) {
	history[0].Subject, history[0].Condition = a.Subject, a.Condition
	var folded alarm.Alarm
	var err error
	for _, e := range history {
		if folded, err = alarm.Fold(folded, e); err != nil {
			m.Fatalf("alarm %s: fold event %d, %s: %v", a.ID, e.Version, e.Kind, err)
		}
	}
	if diff := gocmp.Diff(folded, *a); diff != "" {
		m.Fatalf("alarm %s (-history +table):\n%s", a.ID, diff)
	}
}
