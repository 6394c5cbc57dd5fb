package consumer

import "time"

// pauseFactor is the pause after a background transaction, as a multiple of its duration. At 1, live readings beside a
// backfill on two cores had close to twice their usual p99; at 1.5 it is 1.6 times (`heartbeat bench --full --only backfill`).
const pauseFactor = 1.5

// throttle lets the partition queues of a background consumer store one after the other, with a pause after each
// transaction, so that most of the processor and the database stay free for live readings. A nil *throttle never waits.
type throttle struct {
	token chan struct{} // held by the queue that stores or pauses
}

func newThrottle() *throttle {
	t := &throttle{token: make(chan struct{}, 1)}
	t.token <- struct{}{}
	return t
}

// acquire waits for the token. It returns the function that ends the transaction: it pauses and returns the token. It
// returns nil when stop is closed first.
func (t *throttle) acquire(stop <-chan struct{}) (release func()) {
	if t == nil {
		return func() {}
	}
	select {
	case <-t.token:
	case <-stop:
		return nil
	}
	began := time.Now()
	return func() {
		pause := time.NewTimer(time.Duration(pauseFactor * float64(time.Since(began))))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-stop:
		}
		t.token <- struct{}{}
	}
}
