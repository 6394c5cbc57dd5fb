package kafka

import "time"

// restFor is how long nobody stores after a transaction in the background, for each moment that it took. With as much rest as work, live
// readings beside a backfill on two cores came close to twice their usual p99; with half as much again it is 1.6 (`heartbeat
// bench --full --only backfill`).
const restFor = 1.5

// turns lets the lanes of a consumer in the background store one after the other, with a rest behind each transaction. What
// they leave of the processor and the database is for those whose readings must not wait. A nil *turns lets everybody go at once.
type turns struct {
	free chan struct{} // has a token while it is nobody's turn
}

func newTurns() *turns {
	t := &turns{free: make(chan struct{}, 1)}
	t.free <- struct{}{}
	return t
}

// wait returns once it is the caller's turn, with what the caller must call behind its transaction. It returns nil when stop
// is closed before.
func (t *turns) wait(stop <-chan struct{}) (end func()) {
	if t == nil {
		return func() {}
	}
	select {
	case <-t.free:
	case <-stop:
		return nil
	}
	began := time.Now()
	return func() {
		rest := time.NewTimer(time.Duration(restFor * float64(time.Since(began))))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-stop:
		}
		t.free <- struct{}{}
	}
}
