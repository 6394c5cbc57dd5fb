// Package destination sends messages to where a notification file says: the log, webhooks, PagerDuty, e-mail, an Alertmanager.
//
// It refuses to retry, to follow redirects, to use a proxy from the environment, and to dial a loopback, link-local or private
// address that the file does not name, whatever a host's name resolves to. A Sender may be used by any number of goroutines.
//
// It is behind the path of a reading; internal/notifier calls it with what internal/postgres/outbox has leased.
package destination

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// Timeout bounds one attempt.
const Timeout = 15 * time.Second

// Delivery is a message to send: the bytes are those of the first attempt.
type Delivery struct {
	ID   string // the same on each attempt
	Body []byte
}

// Result is how an attempt ended. Err is nil when the receiver has taken the message.
type Result struct {
	Code       int           // of the answer; 0 where none came
	RetryAfter time.Duration // what the receiver asked for
	Gone       bool          // the receiver wants no more messages, ever
	Rejected   bool          // the receiver will never take this message
	Untaken    bool          // the receiver has certainly not taken the message: it said so, or no connection was made
	Err        error
}

// Sender makes and sends the messages of one destination.
type Sender interface {
	// Encode returns the bytes of a message, which are stored and sent unchanged.
	Encode(message *notify.Message) ([]byte, error)
	Send(ctx context.Context, delivery Delivery, now time.Time) Result
}

// Poster is a Sender whose receiver gets the state of alarms instead of messages. The state is posted again while the alarm is open.
type Poster interface {
	Sender
	// Post tells the state of alarms. It may be repeated at any time, so a Result of failure leaves open which were taken. Rejected
	// are alarms that the receiver will never take.
	Post(ctx context.Context, alarms []notify.Alarm, now time.Time) (result Result, rejected []alarm.ID)
}

// New returns the senders of a file's destinations by name.
func New(file *notify.File, words notify.Words, logger *slog.Logger) (map[string]Sender, error) {
	senders := map[string]Sender{}
	for name, destination := range file.Destinations {
		sender, err := newSender(name, &destination, words, logger)
		if err != nil {
			return nil, fmt.Errorf("destination %s: %w", name, err)
		}
		senders[name] = sender
	}
	return senders, nil
}

func newSender(name string, config *notify.Destination, words notify.Words, logger *slog.Logger) (Sender, error) {
	switch {
	case config.Webhook != nil:
		return newWebhook(config.Webhook, words)
	case config.Alertmanager != nil:
		return newAlertmanager(config.Alertmanager, words)
	case config.PagerDuty != nil:
		return newPagerDuty(config.PagerDuty, words)
	case config.Email != nil:
		return newEmail(config.Email, words)
	default:
		return &logSender{words: words, logger: logger.With("destination", name)}, nil
	}
}
