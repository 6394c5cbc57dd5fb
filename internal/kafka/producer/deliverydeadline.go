package producer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// deliveryDeadline bounds how long a record may wait for its acknowledgement, by the context it is sent with. The
// library's own delivery timeout counts from the record's timestamp, which is the event's time and may lie in the past.
type deliveryDeadline struct {
	timeout time.Duration
	life    context.Context // ends every wait
	end     context.CancelFunc
	current atomic.Pointer[sharedDeadline]
}

// sharedDeadline is the context of all records sent within one deadlineStep: a context for each would cost more than
// sending the record.
type sharedDeadline struct {
	ctx    context.Context
	cancel context.CancelFunc // never called: the context ends at its deadline or with the life
	until  time.Time          // when the next one starts
}

const deadlineStep = time.Second

func newDeliveryDeadline(timeout time.Duration) *deliveryDeadline {
	life, end := context.WithCancel(context.Background())
	d := &deliveryDeadline{timeout: timeout, life: life, end: end}
	d.current.Store(&sharedDeadline{ctx: life})
	return d
}

// context returns the context for a record that is sent now.
func (d *deliveryDeadline) context() context.Context {
	now := time.Now()
	current := d.current.Load()
	if now.Before(current.until) {
		return current.ctx
	}
	ctx, cancel := context.WithDeadline(d.life, now.Add(deadlineStep+d.timeout))
	next := &sharedDeadline{ctx: ctx, cancel: cancel, until: now.Add(deadlineStep)}
	if d.current.CompareAndSwap(current, next) {
		return ctx
	}
	cancel()
	return d.current.Load().ctx
}

var errAbandoned = errors.New("given up before it was acknowledged")

// explain says what the end of a context meant.
func (d *deliveryDeadline) explain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no acknowledgement within %v", d.timeout)
	case d.life.Err() != nil:
		return errAbandoned
	default:
		return err
	}
}
