package pipeline

import (
	"context"
	"slices"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// fixedLimits never change.
type fixedLimits struct{ *detect.LimitHistory }

func (l fixedLimits) Current(context.Context) (*detect.LimitHistory, error) {
	return l.LimitHistory, nil
}

func defaultLimits(t interface{ Fatal(...any) }) fixedLimits {
	history, err := detect.NewLimitHistory(detect.DefaultLimits(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fixedLimits{history}
}

func (m *memory) DetectorStates(_ context.Context, claim Claim, customers []heartbeat.CustomerID) ([]DetectorState, error) {
	if m.readFault != nil {
		if err := m.readFault(); err != nil {
			return nil, err
		}
	}
	var states []DetectorState
	for _, customer := range customers {
		if state, ok := m.states[customer]; ok || m.silent[customer] {
			state.Customer, state.Silent = customer, m.phase(customer)
			states = append(states, state)
		}
	}
	return states, nil
}

func (m *memory) DeadLettered(_ context.Context, _ Claim, from, to int64) (map[int64]bool, error) {
	dead := map[int64]bool{}
	for offset := from; offset < to; offset++ {
		switch m.stored[offset] {
		case "NORMAL", "BRADYCARDIA", "TACHYCARDIA", "INVALID":
		default:
			dead[offset] = true
		}
	}
	return dead, nil
}

// Episodes folds the stored transitions.
func (m *memory) Episodes(_ context.Context, customers []heartbeat.CustomerID, cleared bool) ([]StoredEpisode, error) {
	type key struct{ subject, condition string }
	held := map[key]StoredEpisode{}
	for _, t := range m.transitions {
		k := key{t.Subject, string(t.Condition)}
		episode := held[k]
		episode.Priority, episode.Peak = detect.Priority(t.Priority), heartbeat.BPM(t.Peak)
		episode.Active = t.Kind != alarm.Cleared
		episode.Cleared = 0
		if !episode.Active {
			episode.Cleared = detect.TimeOf(t.At)
		}
		held[k] = episode
	}
	var episodes []StoredEpisode
	for k, episode := range held {
		episode.Customer, _ = heartbeat.ParseCustomerID(k.subject)
		for _, c := range detect.Conditions {
			if c.String() == k.condition {
				episode.Condition = c
			}
		}
		if slices.Contains(customers, episode.Customer) && (cleared || episode.Active) {
			episodes = append(episodes, episode)
		}
	}
	return episodes, nil
}
