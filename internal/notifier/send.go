package notifier

import (
	"context"
	"sync"
	"time"

	"heartbeat/internal/notify/destination"
	"heartbeat/internal/postgres/outbox"
)

// atOnce bounds the messages that one process sends to one destination at a time.
const atOnce = 8

// send runs one sender for each destination of the file in force.
func (n *Notifier) send(ctx context.Context) error {
	running := map[string]bool{}
	var mu sync.Mutex // guards running
	var senders sync.WaitGroup
	defer senders.Wait()
	return n.every(ctx, poll, "send", func(context.Context, time.Time) error {
		mu.Lock()
		defer mu.Unlock()
		for name := range n.settings.Load().senders {
			if !running[name] {
				running[name] = true
				senders.Go(func() {
					n.sendTo(ctx, name)
					mu.Lock()
					defer mu.Unlock()
					delete(running, name)
				})
			}
		}
		return nil
	})
}

// sendTo sends what is due for a destination until the file loses it.
func (n *Notifier) sendTo(ctx context.Context, name string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = n.every(ctx, poll, "send to "+name, func(bounded context.Context, now time.Time) error {
		sender := n.settings.Load().senders[name]
		if sender == nil {
			cancel()
			return nil
		}
		leased, err := n.outbox.Lease(bounded, name, n.owner, atOnce, now)
		if err != nil {
			return err
		}
		var attempts sync.WaitGroup
		for i := range leased {
			attempts.Go(func() { n.attempt(ctx, name, sender, &leased[i], now) })
		}
		attempts.Wait()
		if poster, ok := sender.(destination.Poster); ok {
			return n.post(bounded, name, poster, now)
		}
		return nil
	})
}

// attempt sends a message once. A stop of the process lets it end: its outcome would be unknown otherwise, and the message sent
// twice.
func (n *Notifier) attempt(ctx context.Context, name string, sender destination.Sender, delivery *outbox.Delivery, now time.Time) {
	ctx = context.WithoutCancel(ctx)
	sending, cancel := context.WithTimeout(ctx, n.options.timeout)
	result := sender.Send(sending, destination.Delivery{ID: delivery.ID.String(), Body: delivery.Body}, now)
	cancel()
	n.metrics.attempt(name, &result)
	attempt := attemptOf(&result)
	if result.Err != nil {
		n.logger.Warn("message not delivered", "destination", name, "id", delivery.ID, "attempt", delivery.Attempts, "cause", result.Err)
	}
	n.warnDisabled(name, &result)
	recording, cancel := context.WithTimeout(ctx, destination.Timeout)
	defer cancel()
	ended, err := n.options.now(recording)
	if err == nil {
		err = n.outbox.Finish(recording, name, n.owner, delivery, attempt, ended)
	}
	if err != nil {
		n.logger.Warn("outcome of an attempt not recorded: the message is sent again after its lease", "destination", name, "id", delivery.ID, "cause", err)
	}
}

func attemptOf(result *destination.Result) outbox.Attempt {
	attempt := outbox.Attempt{Code: result.Code, RetryAfter: result.RetryAfter, Gone: result.Gone, Rejected: result.Rejected, Untaken: result.Untaken}
	if result.Err != nil {
		attempt.Error = result.Err.Error()
	}
	return attempt
}

func (n *Notifier) warnDisabled(name string, result *destination.Result) {
	if result.Gone {
		n.logger.Error("destination disabled: the receiver wants no more messages; enable it with heartbeat notify retry --destination", "destination", name)
	}
}

// post tells a destination that keeps states what has changed, or everything. Without a recorded outcome it is told again.
func (n *Notifier) post(ctx context.Context, name string, poster destination.Poster, now time.Time) error {
	posting, err := n.outbox.LeasePost(ctx, name, n.owner, now)
	if err != nil || posting == nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	sending, cancel := context.WithTimeout(ctx, passTimeout)
	result, rejected := poster.Post(sending, posting.Alarms, now)
	cancel()
	n.metrics.attempt(name, &result)
	for _, id := range rejected {
		n.logger.Error("alarm not posted: the receiver refuses it as wrong", "destination", name, "alarm", id)
	}
	if result.Err != nil {
		n.logger.Warn("alarms not posted", "destination", name, "count", len(posting.Alarms), "cause", result.Err)
	}
	n.warnDisabled(name, &result)
	recording, cancel := context.WithTimeout(ctx, destination.Timeout)
	defer cancel()
	ended, err := n.options.now(recording)
	if err != nil {
		return err
	}
	return n.outbox.FinishPost(recording, name, n.owner, posting, attemptOf(&result), ended)
}
