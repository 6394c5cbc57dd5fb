package progress

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StalledAfter is how long records may wait in a partition, none of them being stored, until the partition counts as stalled.
// It is longer than a claim takes after a consumer was killed.
const StalledAfter = 15 * time.Second

// rateSmoothing is the weight of the newest observation in a rate.
const rateSmoothing = 0.3

type key struct {
	topic     string
	partition int32
}

func keyOf(row Stored) key { return key{row.Topic, row.Partition} }

func (t *Topic) numbers() []int32 {
	numbers := make([]int32, 0, len(t.Partitions))
	for number := range t.Partitions {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}

// Observation is what the broker and the database say at one moment.
type Observation struct {
	At    time.Time
	Topic *Topic // nil while the broker does not answer
	Rows  []Stored
}

// Report is how far everything is stored at one moment.
type Report struct {
	At          time.Time
	Partitions  []Partition
	Lag         *int64 // of all partitions; nil while it is unknown
	Unaccounted int64
	Rate        *float64 // offsets per second over all partitions; nil until it was observed twice
}

// Tracker remembers since when each partition gets on. Its zero value has seen nothing.
type Tracker struct {
	marks map[key]*mark
}

// mark is what the last observation said of a partition.
type mark struct {
	log   string
	at    time.Time
	next  int64
	since time.Time // when the partition was last seen to get on, to have nothing to do, or to be out of sight
	fine  bool      // it was seen to get on or to have nothing to do
	rate  float64
	rated bool
}

// Observe compares an observation with those before it.
func (t *Tracker) Observe(o Observation) Report {
	report := Report{At: o.At, Partitions: Compare(o.Topic, o.Rows)}
	marks := map[key]*mark{}
	var rate float64
	rated := false
	for i := range report.Partitions {
		p := &report.Partitions[i]
		if !p.Current {
			continue
		}
		m := t.next(o.At, p)
		marks[keyOf(p.Stored)] = m
		p.Waiting = p.Behind() && !m.fine
		if p.Behind() && o.At.Sub(m.since) >= StalledAfter {
			p.StalledSince = new(m.since)
		}
		if m.rated {
			p.Rate, rate, rated = new(m.rate), rate+m.rate, true
		}
	}
	t.marks = marks
	if lag, known := Lag(report.Partitions); known {
		report.Lag = &lag
	}
	if rated {
		report.Rate = &rate
	}
	report.Unaccounted = Unaccounted(report.Partitions)
	return report
}

// Interrupt notes that the stored rows could not be read. A stall counts from the next observation on.
func (t *Tracker) Interrupt(at time.Time) {
	for _, m := range t.marks {
		m.since = at
	}
}

// next returns the mark after another observation of a partition.
func (t *Tracker) next(now time.Time, p *Partition) *mark {
	m := &mark{log: p.Log, at: now, next: p.Next, since: now, fine: p.Lag != nil && !p.Behind()}
	last, known := t.marks[keyOf(p.Stored)]
	if !known || last.log != p.Log {
		return m
	}
	moved := p.Next != last.next
	m.fine = m.fine || last.fine || moved
	if p.Behind() && !moved {
		m.since = last.since
	}
	m.rate, m.rated = last.rate, last.rated
	elapsed := now.Sub(last.at).Seconds()
	if elapsed <= 0 || !p.Claimed() {
		return m
	}
	current := float64(p.Next-last.next) / elapsed
	if last.rated {
		current = last.rate + rateSmoothing*(current-last.rate)
	}
	m.rate, m.rated = current, true
	return m
}

// Explain fills in the reasons of the stalled partitions from the group's description.
func (r *Report) Explain(group *Group) {
	for i := range r.Partitions {
		if p := &r.Partitions[i]; p.StalledSince != nil {
			p.Reason = group.Explain(p.Partition)
		}
	}
}

// Stalled returns the partitions in which records wait and none is stored.
func (r Report) Stalled() (stalled []Partition) {
	for _, p := range r.Partitions {
		if p.StalledSince != nil {
			stalled = append(stalled, p)
		}
	}
	return stalled
}

// Describe says in one sentence what is wrong with stalled partitions: one clause for each reason.
func Describe(stalled []Partition) string {
	type cause struct {
		numbers []string
		waiting int64
		since   time.Time
	}
	causes, reasons := map[string]*cause{}, []string{}
	for _, p := range stalled {
		c, known := causes[p.Reason]
		if !known {
			c = &cause{since: *p.StalledSince}
			causes[p.Reason], reasons = c, append(reasons, p.Reason)
		}
		c.numbers = append(c.numbers, strconv.Itoa(int(p.Partition)))
		c.waiting += *p.Lag
		if p.StalledSince.Before(c.since) {
			c.since = *p.StalledSince
		}
	}
	var clauses []string
	for _, reason := range reasons {
		c := causes[reason]
		noun := "partition"
		if len(c.numbers) > 1 {
			noun = "partitions"
		}
		clause := fmt.Sprintf("%s %s: %d records wait and none has been stored since %s",
			noun, strings.Join(c.numbers, ", "), c.waiting, c.since.UTC().Format(time.RFC3339))
		if reason != "" {
			clause += ": " + reason
		}
		clauses = append(clauses, clause)
	}
	return strings.Join(clauses, "; ")
}
