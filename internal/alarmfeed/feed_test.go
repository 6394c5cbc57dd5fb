package alarmfeed

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/alarm"
)

// store holds alarms in memory.
type store struct {
	mu     sync.Mutex
	alarms map[alarm.ID]alarm.Alarm
	fault  error
	closes alarm.ID // an alarm that closes between the two questions
}

func (s *store) OpenVersions(context.Context, int) (map[alarm.ID]int64, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := map[alarm.ID]int64{}
	for id, held := range s.alarms {
		if held.Open() {
			versions[id] = held.Version
		}
	}
	return versions, len(versions), s.fault
}

func (s *store) Alarms(_ context.Context, ids []alarm.ID) ([]alarm.Alarm, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []alarm.Alarm
	for _, id := range ids {
		held := s.alarms[id]
		if id == s.closes {
			held.ClosedAt = noon
		}
		found = append(found, held)
	}
	return found, s.fault
}

func (s *store) set(number byte, version int64, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := alarm.Alarm{ID: alarm.ID{number}, Version: version, Subject: "CUST_00042", Condition: alarm.RateHigh, Priority: alarm.High, CurrentPriority: alarm.High, Active: open, RaisedAt: noon, ActiveSince: noon, OnsetAt: noon}
	if !open {
		held.ClosedAt = noon
	}
	s.alarms[held.ID] = held
}

var noon = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)

// viewer folds events as the console does.
type viewer struct {
	t      *testing.T
	feed   *Feed
	number uint64
	open   map[alarm.ID]int64
	resets int
}

func (v *viewer) follow() map[alarm.ID]int64 {
	v.t.Helper()
	var events [][]byte
	events, v.number = v.feed.Since(v.number)
	for _, text := range events {
		var event struct {
			Sequence uint64   `json:"sequence"`
			Reset    bool     `json:"reset"`
			Total    int      `json:"total"`
			Open     []listed `json:"open"`
			Closed   []alarm.ID
		}
		if err := json.Unmarshal(text, &event, json.MatchCaseInsensitiveNames(true)); err != nil {
			v.t.Fatalf("event %s: %v", text, err)
		}
		if event.Reset {
			v.resets++
			v.open = map[alarm.ID]int64{}
		}
		for _, held := range event.Open {
			v.open[held.ID] = held.Version
		}
		for _, id := range event.Closed {
			delete(v.open, id)
		}
	}
	return v.open
}

func start(t *testing.T, store *store) *Feed {
	t.Helper()
	feed := New(store, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := feed.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return feed
}

func TestViewersSeeEachChangeOfTheOpenAlarms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := &store{alarms: map[alarm.ID]alarm.Alarm{}}
		held.set(1, 1, true)
		feed := start(t, held)
		early := &viewer{t: t, feed: feed}
		want := func(v *viewer, want map[alarm.ID]int64) {
			t.Helper()
			time.Sleep(2 * pollEvery)
			synctest.Wait()
			if diff := cmp.Diff(want, v.follow()); diff != "" {
				t.Errorf("open alarms (-want +got):\n%s", diff)
			}
		}
		want(early, map[alarm.ID]int64{{1}: 1})
		held.set(2, 1, true)
		want(early, map[alarm.ID]int64{{1}: 1, {2}: 1})
		held.set(1, 2, true)
		held.set(2, 2, false)
		want(early, map[alarm.ID]int64{{1}: 2})
		if _, latest := feed.Since(early.number); latest != early.number {
			t.Errorf("quiet polls count as changes: %d after %d", latest, early.number)
		}
		if early.resets != 1 {
			t.Errorf("the list was sent %d times, want once", early.resets)
		}
		want(&viewer{t: t, feed: feed}, map[alarm.ID]int64{{1}: 2})
	})
}

func TestViewerTooFarBehindGetsTheWholeList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := &store{alarms: map[alarm.ID]alarm.Alarm{}}
		feed := start(t, held)
		slow := &viewer{t: t, feed: feed}
		time.Sleep(pollEvery / 2)
		slow.follow()
		for n := range maxChanges + 2 {
			held.set(byte(n+1), 1, true)
			time.Sleep(2 * pollEvery)
		}
		synctest.Wait()
		if got := len(slow.follow()); got != maxChanges+2 || slow.resets != 2 {
			t.Errorf("the viewer sees %d alarms after %d whole lists, want %d after 2", got, slow.resets, maxChanges+2)
		}
	})
}

func TestLargeChangeIsSentInParts(t *testing.T) {
	t.Parallel()
	feed := New(nil, slog.New(slog.DiscardHandler))
	if err := feed.apply(nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	v := &viewer{t: t, feed: feed}
	v.follow()
	alarms := make([]alarm.Alarm, 2*changeSize+1)
	for i := range alarms {
		alarms[i] = alarm.Alarm{ID: alarm.ID{byte(i), byte(i >> 8)}, Version: 1, Active: true, Priority: alarm.Low, CurrentPriority: alarm.Low}
	}
	if err := feed.apply(alarms, nil, len(alarms)); err != nil {
		t.Fatal(err)
	}
	if events, _ := feed.Since(v.number); len(events) != 3 {
		t.Errorf("%d alarms come in %d events, want 3", len(alarms), len(events))
	}
	if got := len(v.follow()); got != len(alarms) || v.resets != 1 {
		t.Errorf("the viewer sees %d of %d alarms", got, len(alarms))
	}
}

func TestAlarmThatClosesBetweenTheQuestionsIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := &store{alarms: map[alarm.ID]alarm.Alarm{}, closes: alarm.ID{1}}
		held.set(1, 1, true)
		v := &viewer{t: t, feed: start(t, held)}
		time.Sleep(pollEvery / 2)
		synctest.Wait()
		if got := v.follow(); len(got) != 0 || v.number == 0 {
			t.Errorf("open alarms are %v at event %d, want none", got, v.number)
		}
	})
}

func TestListStaysWhileTheStoreDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := &store{alarms: map[alarm.ID]alarm.Alarm{}}
		held.set(1, 1, true)
		var log strings.Builder
		feed := start(t, held)
		time.Sleep(pollEvery / 2)
		synctest.Wait()
		feed.log = slog.New(slog.NewTextHandler(&log, nil))
		held.mu.Lock()
		held.fault = errors.New("connection refused")
		held.mu.Unlock()
		time.Sleep(10 * pollEvery)
		v := &viewer{t: t, feed: feed}
		if got := v.follow(); len(got) != 1 {
			t.Errorf("open alarms are %v, want the one known before", got)
		}
		held.mu.Lock()
		held.fault = nil
		held.mu.Unlock()
		time.Sleep(2 * pollEvery)
		synctest.Wait()
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("the outage has %d log lines, want 2:\n%s", n, &log)
		}
	})
}

// What 10,000 open alarms take does not grow with the viewers, who share each event, nor with the number of changes. It is not parallel:
// it measures the heap.
func TestMemoryIsBoundedWithTenThousandAlarms(t *testing.T) {
	const count, viewers, most = 10_000, 500, 64 << 20
	store := &store{alarms: map[alarm.ID]alarm.Alarm{}}
	change := func(version int64) {
		for n := range count {
			id := alarm.ID{byte(n), byte(n >> 8)}
			store.alarms[id] = alarm.Alarm{
				ID: id, Version: version, Subject: "CUST_00042", Condition: alarm.RateHigh, Priority: alarm.High, CurrentPriority: alarm.High,
				Active: true, RaisedAt: noon, ActiveSince: noon, OnsetAt: noon, Note: strings.Repeat("x", 200),
			}
		}
	}
	change(1)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	feed := New(store, slog.New(slog.DiscardHandler))
	var shown [viewers][]byte
	for version := range int64(20) {
		change(version + 1)
		if err := feed.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range shown {
			events, _ := feed.Since(0)
			shown[i] = events[0]
		}
	}
	if &shown[0][0] != &shown[viewers-1][0] {
		t.Error("two viewers have a list each")
	}
	if grown := heap() - before; grown > most {
		t.Errorf("%d alarms take %d MiB, want at most %d", count, grown>>20, most>>20)
	}
	runtime.KeepAlive(feed)
	runtime.KeepAlive(store)
}
