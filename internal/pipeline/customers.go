package pipeline

import (
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	// snapshotDelay is how long a customer's state waits for further readings before its snapshot is stored: readings that
	// arrive meanwhile cost no write.
	snapshotDelay = time.Second
	// snapshotInterval and snapshotsPerBatch bound what snapshots cost, however many customers there are: a few of them delay
	// no batch. What the writer cannot take waits, and is replayed after a crash.
	snapshotInterval  = 50 * time.Millisecond
	snapshotsPerBatch = 50
)

// customers is the state of the partition's customers as of the last committed batch, and which stored snapshots are
// behind it. A claim restores it, a replay brings it up to the claim's next offset, each committed batch advances it, and
// snapshots of it are stored with later batches.
//
// The state is the latest reading. Taking it is commutative and idempotent, so reading a part of the log twice gives the
// same states, and only customers whose snapshot is behind need to be kept.
type customers struct {
	latest   map[heartbeat.CustomerID]CustomerState
	stale    []staleSnapshot // in the order in which they fell behind
	replayed bool            // the states include everything below the claim's next offset
	stored   time.Time       // when snapshots were last stored
}

// staleSnapshot says since which offset and when a customer's stored snapshot is behind.
type staleSnapshot struct {
	customer heartbeat.CustomerID
	since    int64
	at       time.Time
}

func newCustomers() customers {
	return customers{latest: map[heartbeat.CustomerID]CustomerState{}}
}

// restore starts from what is stored under a claim.
func (c *customers) restore(claim Claim) {
	*c = newCustomers()
	c.replayed = claim.StateFrom >= claim.Next
}

// replayFrom returns the offset from which the log must be read: below it, stored snapshots have everything.
func (c *customers) replayFrom(claim Claim) int64 { return min(claim.StateFrom, claim.Next) }

// replay takes readings that an earlier owner has stored, in the order of their offsets.
func (c *customers) replay(readings []Reading, now time.Time) { c.take(readings, now) }

// adopt takes a committed batch: its readings are part of the states now, and its snapshots are stored.
func (c *customers) adopt(batch *Batch, now time.Time) {
	if len(batch.Customers) > 0 {
		c.drop(len(batch.Customers))
		c.stored = now
	}
	c.take(batch.Readings, now)
}

func (c *customers) take(readings []Reading, now time.Time) {
	for i := range readings {
		reading := &readings[i]
		held, ok := c.latest[reading.Customer]
		if !ok {
			c.stale = append(c.stale, staleSnapshot{reading.Customer, reading.Offset, now})
		} else if used, newest := timeUsed(&reading.Reading, reading.Kafka), held.TimeUsed(); used < newest || used == newest && reading.Offset < held.Offset {
			continue
		}
		c.latest[reading.Customer] = CustomerState{
			Reading: reading.Reading, Offset: reading.Offset, Kafka: reading.Kafka, Device: held.Device.Update(reading.Device),
		}
	}
}

// due returns how many snapshots the next batch should store.
func (c *customers) due(now time.Time) (count int) {
	if now.Sub(c.stored) < snapshotInterval {
		return 0
	}
	for count < min(snapshotsPerBatch, len(c.stale)) && !c.stale[count].at.After(now.Add(-snapshotDelay)) {
		count++
	}
	return count
}

// include adds the snapshots that have been behind for longest to a batch. They are kept until the batch is committed,
// and exclude the batch's own readings, which the database may still reject.
func (c *customers) include(batch *Batch, count int) {
	batch.StateFrom = batch.From
	if count < len(c.stale) {
		batch.StateFrom = c.stale[count].since
	}
	if count == 0 {
		return
	}
	batch.Customers = make([]CustomerState, count)
	for i := range batch.Customers {
		batch.Customers[i] = c.latest[c.stale[i].customer]
	}
}

// drop forgets customers whose snapshots are stored.
func (c *customers) drop(count int) {
	for _, stale := range c.stale[:count] {
		delete(c.latest, stale.customer)
	}
	c.stale = c.stale[count:]
}
