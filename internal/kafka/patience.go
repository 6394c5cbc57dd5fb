package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// patience bounds how long an event may wait for its acknowledgement, by the context it is sent with. The library's own
// delivery timeout counts from the record's timestamp, which here is the event's time and may lie in the past.
type patience struct {
	timeout time.Duration
	life    context.Context // ends every wait
	end     context.CancelFunc
	current atomic.Pointer[deadline]
}

// deadline is shared by the events of one step, because a context for each would cost more than sending it.
type deadline struct {
	ctx      context.Context
	cancel   context.CancelFunc // never called: the context ends in time or with the life
	sharable time.Time          // until then
}

const deadlineStep = time.Second

func newPatience(timeout time.Duration) *patience {
	life, end := context.WithCancel(context.Background())
	p := &patience{timeout: timeout, life: life, end: end}
	p.current.Store(&deadline{ctx: life})
	return p
}

// context returns the context for an event that is sent now.
func (p *patience) context() context.Context {
	now := time.Now()
	current := p.current.Load()
	if now.Before(current.sharable) {
		return current.ctx
	}
	ctx, cancel := context.WithDeadline(p.life, now.Add(deadlineStep+p.timeout))
	next := &deadline{ctx: ctx, cancel: cancel, sharable: now.Add(deadlineStep)}
	if p.current.CompareAndSwap(current, next) {
		return ctx
	}
	cancel()
	return p.current.Load().ctx
}

var errAbandoned = errors.New("given up before it was acknowledged")

// explain says what the end of a context meant.
func (p *patience) explain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no acknowledgement within %v", p.timeout)
	case p.life.Err() != nil:
		return errAbandoned
	default:
		return err
	}
}
