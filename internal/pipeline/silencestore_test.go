package pipeline

import (
	"context"
	"maps"
	"slices"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/silence"
)

// fleetAlarms is what partitions of one topic share: their reports and the alarms of the fleet.
type fleetAlarms struct {
	reports map[int32]silence.Report
	at      map[int32]time.Time // of the reports
	states  map[alarm.Condition]*silence.AlarmState
	raised  map[alarm.Condition]int
}

func newFleetAlarms() *fleetAlarms {
	return &fleetAlarms{
		reports: map[int32]silence.Report{}, at: map[int32]time.Time{}, raised: map[alarm.Condition]int{},
		states: map[alarm.Condition]*silence.AlarmState{alarm.Outage: {}, alarm.Lag: {}},
	}
}

func (m *memory) idle() time.Duration {
	if m.storedAt.IsZero() {
		return 0
	}
	return time.Since(m.storedAt)
}

// takeSilence takes the transitions of a batch. A raise of a fleet's condition that is active has no effect.
func (m *memory) takeSilence(b *Batch) {
	m.storedAt = time.Now()
	for _, t := range b.Transitions {
		if state := m.fleet.states[t.Condition]; state != nil {
			if opens(&t) && !state.Active {
				m.fleet.raised[t.Condition]++
			}
			state.Active = opens(&t)
		}
		m.transitions = append(m.transitions, t)
	}
	for _, s := range b.Silent {
		m.silent[s.Customer] = true
	}
	for _, c := range b.HeardAgain {
		delete(m.silent, c)
	}
}

func (m *memory) phase(customer heartbeat.CustomerID) silence.Phase {
	if !m.silent[customer] {
		return silence.Heard
	}
	raised := false
	for _, t := range m.transitions {
		if t.Condition == alarm.Silent && t.Subject == customer.String() {
			raised = opens(&t)
		}
	}
	if !raised {
		return silence.Held
	}
	return silence.Silent
}

func (m *memory) PartitionStates(_ context.Context, _ Claim, after heartbeat.CustomerID, limit int) (states []DetectorState, err error) {
	for _, customer := range slices.Sorted(maps.Keys(m.states)) {
		if customer > after && len(states) < limit && m.phase(customer) != silence.Silent {
			state := m.states[customer]
			state.Silent = m.phase(customer)
			states = append(states, state)
		}
	}
	return states, nil
}

func (m *memory) Overdue(_ context.Context, _ Claim, customers []heartbeat.CustomerID) (overdue []OverdueCustomer, err error) {
	for _, customer := range customers {
		o := OverdueCustomer{Customer: customer, Elsewhere: m.elsewhere != nil && m.elsewhere(customer)}
		open := map[alarm.Condition]bool{}
		for _, t := range m.transitions {
			if t.Subject == customer.String() {
				open[t.Condition] = t.Kind != alarm.Cleared
			}
		}
		delete(open, alarm.Silent)
		o.Alarmed = slices.Contains(slices.Collect(maps.Values(open)), true)
		overdue = append(overdue, o)
	}
	return overdue, nil
}

func (m *memory) Report(_ context.Context, claim Claim, report silence.Report) (silence.Fleet, error) {
	m.fleet.reports[claim.Number], m.fleet.at[claim.Number] = report, time.Now()
	fleet := silence.Fleet{Outage: *m.fleet.states[alarm.Outage], Lag: *m.fleet.states[alarm.Lag]}
	for number, r := range m.fleet.reports {
		if fleet.Behind = fleet.Behind || r.Behind; time.Since(m.fleet.at[number]) > 3*time.Minute {
			fleet.Unknown = true
			continue
		}
		fleet.Heard, fleet.Watched, fleet.Turned, fleet.Silent = fleet.Heard+r.Heard, fleet.Watched+r.Watched, fleet.Turned+r.Turned, fleet.Silent+r.Silent
	}
	return fleet, nil
}
