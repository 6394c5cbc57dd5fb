package device_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/device"
	"heartbeat/internal/heartbeat"
)

// fakeSource answers polls with a snapshot or an error.
type fakeSource struct {
	mu       sync.Mutex // guards all below
	snapshot device.Snapshot
	err      error
	hang     bool // until the poll's context ends
}

func (s *fakeSource) Devices(ctx context.Context) (device.Snapshot, error) {
	s.mu.Lock()
	snapshot, err, hang := s.snapshot, s.err, s.hang
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return device.Snapshot{}, ctx.Err()
	}
	return snapshot, err
}

func (s *fakeSource) set(change func(s *fakeSource)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// run runs a registry in a bubble of synctest until the test ends.
func run(t *testing.T, source *fakeSource) (registry *device.Registry, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	registry = device.NewRegistry(source, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- registry.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the registry ends with %v", err)
		}
	})
	synctest.Wait()
	return registry, log
}

// after lets a time pass and what happens at its end.
func after(duration time.Duration) {
	time.Sleep(duration) // of the bubble
	synctest.Wait()
}

func valid(registry *device.Registry, token string) bool {
	_, ok := registry.Authenticate(token)
	return ok
}

func credential(name, token string) device.Credential {
	return device.Credential{Device: device.Device{Name: name, Scope: device.ForAll}, Hash: device.HashToken(token)}
}

func TestTokenIsKnownWithinOnePoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source, token, other := &fakeSource{}, device.NewToken(), device.NewToken()
		registry, _ := run(t, source)
		if valid(registry, token) || registry.Count() != 0 || registry.Ready() != nil {
			t.Errorf("an empty registry has %d devices, and is ready: %v", registry.Count(), registry.Ready())
		}
		source.set(func(s *fakeSource) { s.snapshot.Credentials = []device.Credential{credential("watch", token)} })
		after(device.PollInterval)
		if got, ok := registry.Authenticate(token); !ok || got.Name != "watch" || registry.Count() != 1 {
			t.Errorf("one poll after it was added, the device is %+v, %t", got, ok)
		}
		for _, wrong := range []string{"", other, "hb_", token[:len(token)-1], token + "x", strings.ToUpper(token), strings.Repeat("x", len(token)), string(make([]byte, 1<<20))} {
			if valid(registry, wrong) {
				t.Errorf("the token %.50q is taken", wrong)
			}
		}
		source.set(func(s *fakeSource) { s.snapshot.Credentials = nil })
		after(device.PollInterval)
		if valid(registry, token) || registry.Count() != 0 {
			t.Error("a revoked token is valid after a poll")
		}
	})
}

func TestPreviousTokenEndsByItselfAlsoWithoutDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		previous, token := device.NewToken(), device.NewToken()
		old := credential("watch", previous)
		old.Remaining = time.Minute
		source := &fakeSource{snapshot: device.Snapshot{Credentials: []device.Credential{credential("watch", token), old}}}
		registry, _ := run(t, source)
		source.set(func(s *fakeSource) { s.err = errors.New("connection refused") })
		after(time.Minute)
		if !valid(registry, previous) || !valid(registry, token) || registry.Count() != 1 {
			t.Errorf("during the overlap: previous %t, new %t, %d devices", valid(registry, previous), valid(registry, token), registry.Count())
		}
		after(time.Second)
		if valid(registry, previous) || !valid(registry, token) {
			t.Errorf("after the overlap: previous %t, new %t", valid(registry, previous), valid(registry, token))
		}
	})
}

func TestOutageOfTheDatabaseEndsTokensAfterMaxAge(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*fakeSource){
		"refuses": func(s *fakeSource) { s.err = errors.New("connection refused") },
		"hangs":   func(s *fakeSource) { s.hang = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				token := device.NewToken()
				source := &fakeSource{snapshot: device.Snapshot{Credentials: []device.Credential{credential("watch", token)}}}
				registry, log := run(t, source)
				source.set(fail)
				after(device.MaxAge)
				if !valid(registry, token) || registry.Ready() != nil {
					t.Errorf("at the end of MaxAge: valid %t, ready %v", valid(registry, token), registry.Ready())
				}
				if n := strings.Count(log.String(), "level=WARN"); n != 1 {
					t.Errorf("an outage warns %d times:\n%s", n, log)
				}
				after(time.Second)
				got, _ := registry.Authenticate(token)
				err := registry.Ready()
				if got.Name != "" || registry.Count() != 0 || err == nil || !strings.Contains(err.Error(), "15m") {
					t.Errorf("after MaxAge the token is of %q, the registry is ready: %v", got.Name, err)
				}
				if registry.Allowed(device.Device{Scope: device.ForAll}, 1) {
					t.Error("a device may send after MaxAge")
				}
				source.set(func(s *fakeSource) { s.err, s.hang = nil, false })
				after(5 * time.Second)
				if !valid(registry, token) || registry.Ready() != nil || !strings.Contains(log.String(), "read again") {
					t.Errorf("after the outage: valid %t, ready %v:\n%s", valid(registry, token), registry.Ready(), log)
				}
			})
		})
	}
}

func TestRegistryIsNotReadyBeforeItsFirstPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry, _ := run(t, &fakeSource{err: errors.New("connection refused")})
		if registry.Ready() == nil || valid(registry, device.NewToken()) || registry.Allowed(device.Device{Scope: device.ForAll}, 1) {
			t.Error("a registry that has read nothing is ready")
		}
	})
}

func TestDeviceSendsForItsScopeOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{snapshot: device.Snapshot{Cohorts: map[heartbeat.CustomerID]string{1: "ward", 2: "icu"}}}
		registry, _ := run(t, source)
		want := func(scope device.Device, want ...bool) {
			t.Helper()
			for customer, want := range want {
				if got := registry.Allowed(scope, heartbeat.CustomerID(customer)); got != want {
					t.Errorf("%+v may send for customer %d: %t", scope, customer, got)
				}
			}
		}
		want(device.Device{Scope: device.ForAll}, true, true, true)
		want(device.Device{Scope: device.ForCustomer, Customer: 1}, false, true, false)
		want(device.Device{Scope: device.ForCohort, Cohort: "ward"}, false, true, false)
		want(device.Device{Scope: device.ForCohort}, false, false, false)
		want(device.Device{}, false, false, false)
		source.set(func(s *fakeSource) { s.snapshot.Cohorts = map[heartbeat.CustomerID]string{2: "ward"} })
		after(device.PollInterval)
		want(device.Device{Scope: device.ForCohort, Cohort: "ward"}, false, false, true)
	})
}

// The race detector judges.
func TestRegistryIsUsedWhileItPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token := device.NewToken()
		source := &fakeSource{snapshot: device.Snapshot{Credentials: []device.Credential{credential("watch", token)}, Cohorts: map[heartbeat.CustomerID]string{1: "ward"}}}
		registry, _ := run(t, source)
		var users sync.WaitGroup
		for range 8 {
			users.Go(func() {
				for range 200 {
					if !valid(registry, token) || !registry.Allowed(device.Device{Scope: device.ForCohort, Cohort: "ward"}, 1) || registry.Count() != 1 {
						t.Error("a poll interrupts what is valid")
					}
					time.Sleep(100 * time.Millisecond) // of the bubble: ten polls pass
				}
			})
		}
		users.Wait()
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	token := device.NewToken()
	source := &fakeSource{}
	for range 10_000 {
		source.snapshot.Credentials = append(source.snapshot.Credentials, credential("other", device.NewToken()))
	}
	source.snapshot.Credentials = append(source.snapshot.Credentials, credential("watch", token))
	registry := device.NewRegistry(source, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go registry.Run(ctx) //nolint:errcheck // it ends with the context
	for registry.Count() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !valid(registry, token) {
			b.Fatal("the token is not valid")
		}
	}
}
