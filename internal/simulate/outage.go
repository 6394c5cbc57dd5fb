package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"heartbeat/internal/heartbeat"
)

// outages are the times when a gateway is down and a share of the fleet is not heard. They depend on the seed alone, so
// that every shard has the same.
type outages struct {
	options PopulationOptions
	number  uint64 // of the next one
	next    plan
	current []outage // those of the window
}

type outage struct {
	onset, end int64 // nanoseconds
	key        uint64
	share      float64
}

func newOutages(options PopulationOptions) outages {
	o := outages{options: options}
	o.draw(-int64(restTime.Seconds()))
	return o
}

// draw draws the outage that follows the one which has ended then.
func (o *outages) draw(ended int64) {
	perDay := o.options.Episodes[GatewayOutage]
	if perDay == 0 {
		o.next.onset = math.MaxInt64
		return
	}
	o.number++
	random := rand.New(rand.NewPCG(mix(o.options.Seed), o.number))
	busy := perDay * (meanSeconds(GatewayOutage) + restTime.Seconds()) / day.Seconds()
	o.next = drawCourse(random, GatewayOutage, ended+pause(random, perDay, busy))
}

// advance prepares for the readings of a window and adds the outages that begin in it to the episodes.
func (o *outages) advance(from, to int64, episodes []Episode) []Episode {
	kept := o.current[:0]
	for _, outage := range o.current {
		if outage.end > from {
			kept = append(kept, outage)
		}
	}
	o.current = kept
	for o.next.onset < to/1e9+1 && o.next.onset*1e9 < to {
		next := o.next
		o.current = append(o.current, outage{onset: next.onset * 1e9, end: next.end * 1e9, key: next.key, share: next.level / 100})
		if o.options.Shard == 0 { // the whole fleet's truth, once
			episodes = append(episodes, o.truth(&next))
		}
		o.draw(next.end)
	}
	return episodes
}

func (o *outages) truth(next *plan) Episode {
	expected := next.expected(o.options.Interval.Seconds())
	if float64(o.options.Customers)*next.level/100 < leastOutage {
		expected = None
	}
	return Episode{
		ID:       episodeID(o.options.Seed, 0, o.number),
		Kind:     GatewayOutage,
		Onset:    o.options.Start.Add(time.Duration(next.onset) * time.Second),
		End:      o.options.Start.Add(time.Duration(next.end) * time.Second),
		Share:    next.level / 100,
		Expected: expected,
	}
}

// leastOutage is how many customers an outage must silence, on average, to be told from single drop-outs.
const leastOutage = 10

// lost is whether what a customer sends at that time is lost in an outage.
func (o *outages) lost(customer heartbeat.CustomerID, sent int64) bool {
	for _, outage := range o.current {
		if sent >= outage.onset && sent < outage.end && outage.covers(customer) {
			return true
		}
	}
	return false
}

// covers is whether the customer's gateway is the one that is down.
func (o *outage) covers(customer heartbeat.CustomerID) bool {
	return float64(mix(o.key^uint64(customer))>>11)/(1<<53) < o.share
}
