package simulate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"heartbeat/internal/heartbeat"
)

// Condition is what a monitor should report because of an episode.
type Condition string

// The conditions that episodes cause. None stands for an episode that must raise no alarm.
const (
	None      Condition = "none"
	RateHigh  Condition = "rate_high"
	RateLow   Condition = "rate_low"
	BadSignal Condition = "bad_signal"
	Silent    Condition = "silent"
	Outage    Condition = "outage"
)

// Episode is the truth about one stretch of time, [Onset, End), of one customer or of a share of the fleet.
type Episode struct {
	ID       string               // the same seed gives the same ids
	Kind     Kind                 // what happens
	Customer heartbeat.CustomerID // 0 for a gateway outage
	Onset    time.Time
	Crossing time.Time // when the rise takes the rate over the default limit; zero where the kind has no limit to cross
	End      time.Time
	Peak     heartbeat.BPM // the extreme rate that is reached; 0 where the kind has none
	Share    float64       // of the fleet, for a gateway outage
	Expected Condition
}

// MarshalJSON writes the episode as a line of truth has it.
func (e Episode) MarshalJSON() ([]byte, error) {
	line := struct {
		ID       string    `json:"id"`
		Customer string    `json:"customer_id,omitempty"`
		Kind     string    `json:"kind"`
		Onset    time.Time `json:"onset"`
		Crossing time.Time `json:"crossing,omitzero"`
		End      time.Time `json:"end"`
		Peak     int       `json:"peak,omitempty"`
		Share    float64   `json:"share,omitempty"`
		Expected Condition `json:"expected_condition"`
	}{
		ID: e.ID, Kind: e.Kind.String(), Onset: e.Onset.UTC(), Crossing: e.Crossing.UTC(), End: e.End.UTC(), Peak: int(e.Peak),
		Share: e.Share, Expected: e.Expected,
	}
	if e.Customer != 0 {
		line.Customer = e.Customer.String()
	}
	return json.Marshal(line)
}

// UnmarshalJSON reads a line of truth.
func (e *Episode) UnmarshalJSON(data []byte) error {
	var line struct {
		ID       string    `json:"id"`
		Customer string    `json:"customer_id"`
		Kind     string    `json:"kind"`
		Onset    time.Time `json:"onset"`
		Crossing time.Time `json:"crossing"`
		End      time.Time `json:"end"`
		Peak     int       `json:"peak"`
		Share    float64   `json:"share"`
		Expected Condition `json:"expected_condition"`
	}
	if err := json.Unmarshal(data, &line); err != nil {
		return err
	}
	kind, err := parseKind(line.Kind)
	if err != nil {
		return err
	}
	*e = Episode{
		ID: line.ID, Kind: kind, Onset: line.Onset, Crossing: line.Crossing, End: line.End, Peak: heartbeat.BPM(line.Peak),
		Share: line.Share, Expected: line.Expected,
	}
	if kind != GatewayOutage {
		if e.Customer, err = heartbeat.ParseCustomerID(line.Customer); err != nil {
			return fmt.Errorf("episode %s: %w", line.ID, err)
		}
	}
	return nil
}

// episodeID joins the seed to what tells the episodes of one seed apart.
func episodeID(seed uint64, parts ...uint64) string {
	id := strconv.AppendUint(nil, seed, 36)
	for _, part := range parts {
		id = strconv.AppendUint(append(id, '-'), part, 10)
	}
	return string(id)
}
