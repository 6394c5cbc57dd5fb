// Package dryrun tries limits on readings that are stored: how many alarms they would have raised, and for whom.
// `heartbeat limits try` uses it, and the console, for which a Runner does it in the background.
//
// It reads neither Kafka nor the database: the caller passes each reading in the order of its log, with the transitions that the
// limits in force gave. It keeps one detector state and one count for each customer.
//
// A Trial belongs to one goroutine; a Runner may be called by any. It stands beside the path of a reading and changes nothing there.
package dryrun

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// Period is the time of readings whose alarms count, [From, To).
type Period struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Trial runs proposed limits beside those in force.
type Trial struct {
	detector    *detect.Detector
	proposed    *detect.LimitHistory
	from, to    detect.Time
	customers   map[heartbeat.CustomerID]*customer
	readings    int64 // in the period
	stepped     int64
	first, last detect.Time // of the readings in the period
	transitions []detect.Transition
}

type customer struct {
	state         detect.State
	now, proposed Alarms
}

// Alarms are how often alarms are opened, by condition. A reopening counts.
type Alarms struct {
	RateHigh  int `json:"rate_high"`
	RateLow   int `json:"rate_low"`
	BadSignal int `json:"bad_signal"`
}

// Total is the number of all.
func (a Alarms) Total() int { return a.RateHigh + a.RateLow + a.BadSignal }

func (a *Alarms) count(transitions []detect.Transition, from, to detect.Time) {
	for i := range transitions {
		if t := &transitions[i]; !t.Kind.Opens() || t.At < from || t.At >= to {
			continue
		}
		switch transitions[i].Condition {
		case detect.RateHigh:
			a.RateHigh++
		case detect.RateLow:
			a.RateLow++
		case detect.BadSignal:
			a.BadSignal++
		}
	}
}

func (a *Alarms) add(other Alarms) {
	a.RateHigh, a.RateLow, a.BadSignal = a.RateHigh+other.RateHigh, a.RateLow+other.RateLow, a.BadSignal+other.BadSignal
}

// New returns a trial of limits over a period.
func New(settings detect.Settings, proposed *detect.LimitHistory, over Period) (*Trial, error) {
	detector, err := detect.New(settings, detect.Source{Log: "dry run"})
	if err != nil {
		return nil, err
	}
	return &Trial{
		detector: detector, proposed: proposed, from: detect.TimeOf(over.From), to: detect.TimeOf(over.To), customers: map[heartbeat.CustomerID]*customer{},
	}, nil
}

// Step takes the next reading of a log, with what it caused under the limits in force. Readings before the period prepare the
// detector for it.
func (t *Trial) Step(id heartbeat.CustomerID, reading detect.Reading, inForce []detect.Transition) {
	c, ok := t.customers[id]
	if !ok {
		c = &customer{}
		t.customers[id] = c
	}
	t.stepped++
	used := reading.TimeUsed()
	if used >= t.from && used < t.to {
		t.readings++
		if t.first == 0 || used < t.first {
			t.first = used
		}
		t.last = max(t.last, used)
	}
	t.transitions = t.detector.Step(&c.state, reading, t.proposed.At(id, used), t.transitions[:0])
	c.now.count(inForce, t.from, t.to)
	c.proposed.count(t.transitions, t.from, t.to)
}

// Customers is how many were stepped.
func (t *Trial) Customers() int { return len(t.customers) }

// Result is what the proposed limits would have changed.
type Result struct {
	Period                   // as far as there are readings
	Days           float64   `json:"days"`
	Readings       int64     `json:"readings"`
	Stepped        int64     `json:"stepped"` // readings, with those before the period, which prepare the detector
	Customers      int       `json:"customers"`
	Now            Alarms    `json:"now"`
	Proposed       Alarms    `json:"proposed"`
	NowPerDay      float64   `json:"now_per_day"`
	ProposedPerDay float64   `json:"proposed_per_day"`
	Changed        []Changed `json:"changed"`     // who would have had more or fewer alarms, the largest change first
	Differences    int64     `json:"differences"` // stored alarms that a dry run of the limits in force does not give, or the reverse
	Undecided      int       `json:"undecided"`   // customers with too few readings in the log to compare
	Cut            bool      `json:"cut"`         // Kafka no longer has all readings of the period
	Seconds        float64   `json:"seconds"`     // that the dry run took, with reading from Kafka
}

// SecondsPerMillion is how long a million readings took.
func (r *Result) SecondsPerMillion() float64 { return r.Seconds * 1e6 / float64(max(r.Stepped, 1)) }

// Changed is a customer whom the limits concern.
type Changed struct {
	Customer string `json:"customer_id"`
	Now      Alarms `json:"now"`
	Proposed Alarms `json:"proposed"`
}

func (c Changed) difference() int {
	d := c.Proposed.Total() - c.Now.Total()
	return max(d, -d)
}

// Result sums up.
func (t *Trial) Result() Result {
	r := Result{
		Period: Period{t.first.UTC(), t.last.UTC()}, Days: float64(t.last-t.first) / float64(24*time.Hour/time.Microsecond),
		Readings: t.readings, Stepped: t.stepped, Customers: len(t.customers), Changed: []Changed{},
	}
	for id, c := range t.customers {
		r.Now.add(c.now)
		r.Proposed.add(c.proposed)
		if c.now != c.proposed {
			r.Changed = append(r.Changed, Changed{id.String(), c.now, c.proposed})
		}
	}
	if r.Days > 0 {
		r.NowPerDay, r.ProposedPerDay = float64(r.Now.Total())/r.Days, float64(r.Proposed.Total())/r.Days
	}
	slices.SortFunc(r.Changed, func(a, b Changed) int {
		return cmp.Or(cmp.Compare(b.difference(), a.difference()), cmp.Compare(a.Customer, b.Customer))
	})
	return r
}

// Propose adds proposed limits to those that there are. One without a time of its own holds from then on, and is the last word
// on what it sets: limits of the same people and hours that were made later do not end it.
func Propose(existing []detect.Limit, proposed []alarm.Limit, from time.Time) ([]detect.Limit, error) {
	limits := slices.Clone(existing)
	last := int64(0)
	for i := range limits {
		last = max(last, limits[i].ID)
	}
	for i := range proposed {
		p := proposed[i]
		p.ID = last + 1 + int64(i)
		p.Author, p.Reason = cmp.Or(p.Author, "dry run"), cmp.Or(p.Reason, "dry run")
		always := p.EffectiveFrom.IsZero()
		if always {
			p.EffectiveFrom = from
		}
		limit, err := p.Detect()
		if err != nil {
			return nil, fmt.Errorf("limit %d of %d: %w", i+1, len(proposed), err)
		}
		if always {
			limits = supersede(limits, &limit)
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

// supersede takes from limits what a proposed one would set instead, from its begin on.
func supersede(limits []detect.Limit, by *detect.Limit) []detect.Limit {
	var kept []detect.Limit
	for _, l := range limits {
		if l.Scope == by.Scope && l.Cohort == by.Cohort && l.Customer == by.Customer && l.Hours == by.Hours && l.From >= by.From {
			if by.Low != 0 {
				l.Low = 0
			}
			if by.High != 0 {
				l.High = 0
			}
			if l.Low == 0 && l.High == 0 {
				continue
			}
		}
		kept = append(kept, l)
	}
	return kept
}
