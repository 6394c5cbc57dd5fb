package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/heartbeat"
)

const (
	// PollInterval is the time between two polls: a new, rotated or revoked token takes effect within this and the time of a poll.
	PollInterval = 2 * time.Second
	// MaxAge is for how long the devices of the last successful poll count while polls fail. After it no token is known: a revocation
	// that cannot be read must not be ignored for longer.
	MaxAge = 15 * time.Minute

	pollTime   = 3 * time.Second // of one poll
	pollFactor = 1               // a poll that takes longer than PollInterval is followed by as long a pause
)

// Source is where the devices are read.
type Source interface {
	Devices(ctx context.Context) (Snapshot, error)
}

// Snapshot is all devices whose tokens are valid, and who is in which cohort.
type Snapshot struct {
	Credentials []Credential
	Cohorts     map[heartbeat.CustomerID]string // at least of all cohorts that a credential names
}

// Credential is a token of a device by its hash.
type Credential struct {
	Device Device
	Hash   Hash
	// Remaining is for how long the token is valid: that of before a rotation. 0 is without end. It is a duration, so that the clocks
	// of gateway and database need not agree.
	Remaining time.Duration
}

// Registry is the devices of the latest poll.
type Registry struct {
	source Source
	logger *slog.Logger
	state  atomic.Pointer[state] // nil before the first successful poll
}

// state is a Snapshot for looking up. It never changes.
type state struct {
	tokens  map[Hash]entry
	cohorts map[heartbeat.CustomerID]string
	devices int
	readAt  time.Time
}

type entry struct {
	device Device
	ends   time.Time // zero: never
}

// NewRegistry returns a Registry that knows no device before Run has polled.
func NewRegistry(source Source, logger *slog.Logger) *Registry {
	return &Registry{source: source, logger: logger.With("component", "devices")}
}

// Run polls the devices until the context ends. A poll that fails leaves what is known.
func (r *Registry) Run(ctx context.Context) error {
	failing := false
	backoff.Repeat(ctx, PollInterval, pollFactor, func() {
		err := r.poll(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			r.logger.Warn("devices not read: the known tokens stay valid for now", "for", MaxAge, "cause", err)
		case err == nil && failing:
			r.logger.Info("devices read again", "devices", r.Count())
		}
		failing = err != nil
	})
	return nil
}

func (r *Registry) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	began := time.Now() // before the reading, so that nothing counts as newer than it is
	snapshot, err := r.source.Devices(ctx)
	if err != nil {
		return err
	}
	next := &state{tokens: make(map[Hash]entry, len(snapshot.Credentials)), cohorts: snapshot.Cohorts, readAt: began}
	names := map[string]struct{}{}
	for _, credential := range snapshot.Credentials {
		known := entry{device: credential.Device}
		if credential.Remaining > 0 {
			known.ends = began.Add(credential.Remaining)
		}
		next.tokens[credential.Hash] = known
		names[credential.Device.Name] = struct{}{}
	}
	next.devices = len(names)
	r.state.Store(next)
	return nil
}

// current returns the state, or nil where no token is known.
func (r *Registry) current() *state {
	state := r.state.Load()
	if state == nil || time.Since(state.readAt) > MaxAge {
		return nil
	}
	return state
}

// Authenticate returns the device whose token it is. Where it returns false, Ready tells whether the token is wrong or the devices are not
// known. The look-up in a map need not take constant time: what its time could tell is about the SHA-256 of the token, and who does not
// have the token cannot choose that hash.
func (r *Registry) Authenticate(token string) (Device, bool) {
	state := r.current()
	if state == nil || len(token) != tokenLength {
		return Device{}, false
	}
	known, ok := state.tokens[HashToken(token)]
	if !ok || !known.ends.IsZero() && time.Now().After(known.ends) {
		return Device{}, false
	}
	return known.device, true
}

// Allowed reports whether a device may send readings of a customer.
func (r *Registry) Allowed(device Device, customer heartbeat.CustomerID) bool {
	state := r.current()
	return state != nil && device.May(customer, func(customer heartbeat.CustomerID) string { return state.cohorts[customer] })
}

// Ready returns why no token is known, or nil.
func (r *Registry) Ready() error {
	state := r.state.Load()
	if state == nil {
		return errors.New("the devices have not been read from the database yet")
	}
	if age := time.Since(state.readAt); age > MaxAge {
		return fmt.Errorf("the devices were read from the database %s ago, and count for %s", age.Round(time.Second), MaxAge)
	}
	return nil
}

// Count returns the number of devices with a valid token.
func (r *Registry) Count() int {
	if state := r.current(); state != nil {
		return state.devices
	}
	return 0
}
