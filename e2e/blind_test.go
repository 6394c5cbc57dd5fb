package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var blindKills = flag.Int("blind-kills", 2, "how often each test of the time blind kills a consumer")

var blindBinary = flag.String("blind-binary", "", "measure the time blind of this heartbeat's consumers, to compare with another build")

// How long no reading of a partition may be stored: after a kill and an immediate restart, with an instance id, after ten
// kills in 30 s, when other members take over, and during a rolling restart.
const (
	blindAfterKill       = 10 * time.Second
	blindMedian          = 7 * time.Second
	blindNamed           = 3 * time.Second
	blindAfterTenKills   = 12 * time.Second
	blindAfterDeath      = 10 * time.Second
	blindRollingRestart  = 3 * time.Second
	blindProducerRate    = "500"
	progressSamplePeriod = 20 * time.Millisecond
)

// A consumer that is killed and restarted at once stores every partition again within seconds: with its default instance
// id, with one of its own, and as a dynamic member where no instance id can be kept.
func TestBlindAfterKillAndRestart(t *testing.T) {
	for _, test := range []struct {
		name      string
		arguments []string
		noState   bool
		most      time.Duration
	}{
		{name: "defaults", most: blindAfterKill},
		{name: "instance id", arguments: []string{"--instance-id", "ward-1"}, most: blindNamed},
		{name: "no state directory", noState: true, most: blindAfterKill},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			home := t.TempDir()
			if test.noState {
				if err := os.WriteFile(filepath.Join(home, "state"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			producer := f.produce("--rate", blindProducerRate, "--seed", "60")
			consumer := f.consumeWithDefaults(home, test.arguments...)
			samples := f.sampleProgress()
			var blind []time.Duration
			for range *blindKills {
				f.storedMore(500)
				consumer.kill()
				killed := time.Now()
				consumer = f.consumeWithDefaults(home, test.arguments...)
				blind = append(blind, samples.blindSince(killed, test.most)...)
			}
			reportBlind(t, blind)
			wantBlind(t, blind, test.most)
			if median := quantile(blind, 0.5); !test.noState && median > blindMedian {
				t.Errorf("the median time blind is %v, want at most %v", median, blindMedian)
			}
			producer.interrupt()
			f.caughtUp(waitTimeout)
			consumer.interrupt()
			auditSending(t, f.audit())
		})
	}
}

// Ten kills within 30 s, and then a consumer that stays.
func TestBlindAfterTenKills(t *testing.T) {
	f := newFixture(t)
	home := t.TempDir()
	producer := f.produce("--rate", blindProducerRate, "--seed", "61")
	samples := f.sampleProgress()
	consumer := f.consumeWithDefaults(home)
	f.storedMore(500)
	for range 10 {
		elapse(t, time.Second+rand.N(3*time.Second))
		consumer.kill()
		consumer = f.consumeWithDefaults(home)
	}
	blind := samples.blindSince(time.Now(), blindAfterTenKills)
	reportBlind(t, blind)
	wantBlind(t, blind, blindAfterTenKills)
	producer.interrupt()
	f.caughtUp(waitTimeout)
	consumer.interrupt()
	auditSending(t, f.audit())
}

// A member dies and does not come back: the others store its partitions.
func TestBlindWhenAMemberDies(t *testing.T) {
	f := newFixture(t)
	home := t.TempDir()
	producer := f.produce("--rate", blindProducerRate, "--seed", "62")
	members := f.consumeByThree(home)
	samples := f.sampleProgress()
	var blind []time.Duration
	for range *blindKills {
		f.storedMore(500)
		members[0].kill()
		blind = append(blind, samples.pauseSince(time.Now(), blindAfterDeath)...)
		members = append(members[1:], f.consumeWithDefaults(home))
		f.awaitOwners(3)
	}
	reportBlind(t, blind)
	wantBlind(t, blind, blindAfterDeath)
	producer.interrupt()
	f.caughtUp(waitTimeout)
	for _, member := range members {
		member.interrupt()
	}
	auditSending(t, f.audit())
}

// One member after the other stops and starts: no partition stops for long.
func TestBlindDuringARollingRestart(t *testing.T) {
	f := newFixture(t)
	home := t.TempDir()
	producer := f.produce("--rate", blindProducerRate, "--seed", "63")
	members := f.consumeByThree(home)
	samples := f.sampleProgress()
	began := time.Now()
	for i := range members {
		f.storedMore(500)
		members[i].interrupt()
		members[i] = f.consumeWithDefaults(home)
		f.awaitOwners(3)
	}
	f.storedMore(500)
	pauses := samples.longestPauses(began)
	reportBlind(t, pauses)
	wantBlind(t, pauses, blindRollingRestart)
	producer.interrupt()
	f.caughtUp(waitTimeout)
	for _, member := range members {
		member.interrupt()
	}
	auditSending(t, f.audit())
}

// consumeWithDefaults starts a consumer with the default timeouts. Consumers of one home share its instance ids.
func (f *fixture) consumeWithDefaults(home string, more ...string) *role {
	f.t.Helper()
	arguments := append([]string{
		"consume", "--brokers", f.broker, "--topic", f.topic, "--group", f.group, "--metrics-address", "none",
	}, more...)
	return start(f.t, command{arguments: arguments, environment: []string{"DATABASE_URL=" + f.database}, home: home, binary: *blindBinary})
}

func (f *fixture) consumeByThree(home string) []*role {
	f.t.Helper()
	members := []*role{f.consumeWithDefaults(home), f.consumeWithDefaults(home), f.consumeWithDefaults(home)}
	f.awaitOwners(3)
	return members
}

// awaitOwners waits until so many consumers own partitions.
func (f *fixture) awaitOwners(want int64) {
	f.t.Helper()
	await(f.t, waitTimeout, func() string {
		if owners := value[int64](f.t, f.pool, `SELECT count(DISTINCT owner) FROM ingest_progress`); owners != want {
			return fmt.Sprintf("%d consumers own partitions, want %d", owners, want)
		}
		return ""
	})
}

// advance is a moment at which a partition's stored position was seen to have moved.
type advance struct {
	at    time.Time
	fence int64 // of the claim that moved it
}

// progressSamples is what a sampler has seen of each partition.
type progressSamples struct {
	f *fixture

	mu       sync.Mutex // guards all below
	next     map[int32]int64
	advances map[int32][]advance
}

// sampleProgress reads the stored positions every progressSamplePeriod until the test ends.
func (f *fixture) sampleProgress() *progressSamples {
	s := &progressSamples{f: f, next: map[int32]int64{}, advances: map[int32][]advance{}}
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressSamplePeriod)
		defer ticker.Stop()
		for ctx.Err() == nil {
			s.sample(ctx)
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	f.t.Cleanup(func() { cancel(); <-done })
	return s
}

func (s *progressSamples) sample(ctx context.Context) {
	rows, err := s.f.pool.Query(ctx, `SELECT partition, next_offset, fence FROM ingest_progress`)
	if err != nil {
		return // the test ends
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var partition int32
	var next, fence int64
	_, _ = pgx.ForEachRow(rows, []any{&partition, &next, &fence}, func() error {
		if next > s.next[partition] {
			s.next[partition] = next
			s.advances[partition] = append(s.advances[partition], advance{now, fence})
		}
		return nil
	})
}

// blindSince waits until each partition is stored under a new claim, and returns how long after a kill that was.
func (s *progressSamples) blindSince(killed time.Time, most time.Duration) []time.Duration {
	s.f.t.Helper()
	return s.since(killed, most, func(before, after advance) bool { return after.fence > before.fence })
}

// pauseSince is blindSince where only some partitions lose their owner: the others just go on.
func (s *progressSamples) pauseSince(killed time.Time, most time.Duration) []time.Duration {
	s.f.t.Helper()
	settled := killed.Add(500 * time.Millisecond) // a transaction of the killed member may have been on its way
	return s.since(killed, most, func(_, after advance) bool { return after.at.After(settled) })
}

func (s *progressSamples) since(killed time.Time, most time.Duration, stored func(before, after advance) bool) []time.Duration {
	s.f.t.Helper()
	var blind []time.Duration
	await(s.f.t, 10*most, func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		blind = blind[:0]
		for partition, advances := range s.advances {
			var before advance
			found := slices.IndexFunc(advances, func(a advance) bool {
				if !a.at.After(killed) {
					before = a
					return false
				}
				return stored(before, a)
			})
			if found < 0 {
				return fmt.Sprintf("nothing of partition %d is stored since the kill", partition)
			}
			blind = append(blind, advances[found].at.Sub(killed))
		}
		if len(blind) < 3 {
			return fmt.Sprintf("%d partitions are stored, want 3", len(blind))
		}
		return ""
	})
	return slices.Clone(blind)
}

// longestPauses returns the longest time between two advances of each partition.
func (s *progressSamples) longestPauses(from time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pauses []time.Duration
	for _, advances := range s.advances {
		var longest time.Duration
		last := from
		for _, a := range advances {
			if a.at.After(from) {
				longest = max(longest, a.at.Sub(last))
				last = a.at
			}
		}
		pauses = append(pauses, longest)
	}
	return pauses
}

func quantile(durations []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func wantBlind(t *testing.T, blind []time.Duration, most time.Duration) {
	t.Helper()
	if worst := slices.Max(blind); worst > most {
		t.Errorf("a partition was not stored for %v, want at most %v", worst, most)
	}
}

// reportBlind logs the figures in a form that a report can collect.
func reportBlind(t *testing.T, blind []time.Duration) {
	t.Helper()
	t.Logf("time blind: p50 %v, max %v, n %d", quantile(blind, 0.5).Round(10*time.Millisecond), slices.Max(blind).Round(10*time.Millisecond), len(blind))
}
