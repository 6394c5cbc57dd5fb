package status

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
)

// Snapshot is what the database and the broker say of the pipeline at one moment. It is shared and never modified.
type Snapshot struct {
	At          time.Time            `json:"at"`
	Totals      *readmodel.Totals    `json:"totals"` // nil while the database does not answer
	Stored      *float64             `json:"stored_per_second"`
	Lag         *int64               `json:"lag"` // nil while it is unknown
	Unaccounted int64                `json:"unaccounted"`
	Partitions  []progress.Partition `json:"partitions"`
	Health      []Component          `json:"health"`

	Stalled     []progress.Partition `json:"-"` // in which records wait and none is stored
	BrokerSince time.Time            `json:"-"` // when the broker stopped answering; zero while it answers or none is asked

	text []byte
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

func (s *Snapshot) show(report progress.Report) {
	s.Partitions, s.Lag, s.Stored, s.Unaccounted = report.Partitions, report.Lag, report.Rate, report.Unaccounted
	s.Stalled = report.Stalled()
}
