package importer

import (
	"maps"
	"slices"
	"time"

	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
)

// Summary is what an import found and did.
type Summary struct {
	DryRun  bool      `json:"dry_run"`
	Formats []*Format `json:"formats"`
	Skipped int64     `json:"skipped_files"` // of another kind, in directories and archives
	Faults  []string  `json:"faults"`        // the first files that could not be read to their end; the readings before the fault count
	Omitted int64     `json:"faults_omitted"`

	Readings  int64         `json:"readings"` // found in the files and not left out
	Distinct  int64         `json:"distinct"` // different ones among them
	Stored    int64         `json:"stored"`   // of those, stored before
	TooOld    int64         `json:"too_old"`  // of the others, older than the retention of the consumers: never sent
	Retention time.Duration `json:"-"`        // of the consumers, 0: none
	Added     int64         `json:"added"`    // the rest; in a dry run, those that would be added
	Seconds   float64       `json:"seconds"`
}

// Format is what the files of one format held.
type Format struct {
	Name     format.Name                 `json:"format"`
	Files    int64                       `json:"files"`
	Readings int64                       `json:"readings"`
	LeftOut  map[heartbeat.Reason]int64  `json:"left_out"`
	First    *time.Time                  `json:"first"` // event times of the readings; nil: none
	Last     *time.Time                  `json:"last"`
	Examples map[heartbeat.Reason]string `json:"examples"` // the first of each reason that is a fault
}

// Reasons lists the reasons for which something was left out.
func (f *Format) Reasons() []heartbeat.Reason { return slices.Sorted(maps.Keys(f.LeftOut)) }

// mostFaults bounds the faults that are kept: an archive may have any number of broken entries.
const mostFaults = 100

func (s *Summary) fault(text string) {
	if len(s.Faults) == mostFaults {
		s.Omitted++
		return
	}
	s.Faults = append(s.Faults, text)
}

func (s *Summary) format(name format.Name) *Format {
	for _, f := range s.Formats {
		if f.Name == name {
			return f
		}
	}
	f := &Format{Name: name, LeftOut: map[heartbeat.Reason]int64{}, Examples: map[heartbeat.Reason]string{}}
	s.Formats = append(s.Formats, f)
	return f
}

func (f *Format) add(at time.Time) {
	f.Readings++
	if f.First == nil || at.Before(*f.First) {
		f.First = &at
	}
	if f.Last == nil || at.After(*f.Last) {
		f.Last = &at
	}
}

func (f *Format) leaveOut(where func() string, rejection *heartbeat.Rejection) {
	f.LeftOut[rejection.Reason]++
	if _, known := f.Examples[rejection.Reason]; !known && format.Fault(rejection.Reason) {
		f.Examples[rejection.Reason] = where() + ": " + rejection.Detail
	}
}
