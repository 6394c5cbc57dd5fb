package status

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/readmodel"
)

// Snapshot is what the database and the broker say of the pipeline at one moment. It is shared and never modified.
type Snapshot struct {
	At          time.Time         `json:"at"`
	Totals      *readmodel.Totals `json:"totals"` // nil while the database does not answer
	Stored      *float64          `json:"stored_per_second"`
	Lag         *int64            `json:"lag"` // nil while it is unknown
	Unaccounted int64             `json:"unaccounted"`
	Partitions  []Partition       `json:"partitions"`
	Health      []Component       `json:"health"`

	text []byte
}

// Partition is a partition's stored progress beside the broker's end of it.
type Partition struct {
	readmodel.Progress
	Current bool     `json:"current"` // of the log in use, not of one that was replaced
	End     *int64   `json:"end_offset"`
	Lag     *int64   `json:"lag"`
	Rate    *float64 `json:"rate"` // offsets per second
}

// JSON returns the snapshot as it goes to viewers.
func (s *Snapshot) JSON() []byte { return s.text }

func (s *Snapshot) encode() {
	text, err := json.Marshal(s)
	if err != nil { // plain values cannot fail to encode; if they do, the page should say so
		text = fmt.Appendf(nil, `{"error":%q}`, err.Error())
	}
	s.text = text
}

func (s *Snapshot) sum() {
	var lag int64
	var stored float64
	known, rated := false, false
	for _, p := range s.Partitions {
		s.Unaccounted += p.Unaccounted
		if p.Lag != nil {
			lag, known = lag+*p.Lag, true
		}
		if p.Rate != nil {
			stored, rated = stored+*p.Rate, true
		}
	}
	if known {
		s.Lag = &lag
	}
	if rated {
		s.Stored = &stored
	}
}
