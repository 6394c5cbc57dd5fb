package alarmstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

// repeats returns how often a test does what it does, from the environment where that says so.
func repeats(t *testing.T, variable string, fallback int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q: want a number above 0", variable, text)
	}
	return n
}

func transition(subject string, kind alarm.Kind, priority alarm.Priority, at time.Time, offset int64) alarm.Transition {
	return alarm.Transition{
		Alarm: uuid.New(), Subject: subject, Condition: alarm.RateHigh, Kind: kind, Priority: priority,
		At: at, Since: at.Add(-15 * time.Second), Measure: alarm.Measure{Value: 195, Peak: 199, Limit: 180}, Offset: offset,
	}
}

// Grafana OnCall #3161: whichever of an acknowledgement and the end of the condition comes first, the alarm is closed and
// acknowledged. The operator has seen version 1 in each case.
func TestAcknowledgeAndClearAtTheSameMoment(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	const batch = 250
	count := repeats(t, "HEARTBEAT_TEST_ALARM_RACES", 2500)
	for done := 0; done < count; done += batch {
		var raises, clears []alarm.Transition
		for i := range batch {
			subject := fmt.Sprintf("CUST_%05d", done+i)
			raises = append(raises, transition(subject, alarm.Raised, alarm.High, noon, 1))
			clears = append(clears, transition(subject, alarm.Cleared, alarm.High, noon.Add(time.Minute), 2))
		}
		if err := alarmstore.Apply(t.Context(), pool, "log", 0, raises); err != nil {
			t.Fatal(err)
		}
		group, ctx := errgroup.WithContext(t.Context())
		group.Go(func() error {
			for i := 0; i < batch; i += 5 {
				if err := alarmstore.Apply(ctx, pool, "log", 0, clears[i:i+5]); err != nil {
					return fmt.Errorf("clear: %w", err)
				}
			}
			return nil
		})
		for operator := range 2 {
			group.Go(func() error {
				for i := operator; i < batch; i += 2 {
					action := alarm.Action{Kind: alarm.Acknowledged, Actor: "anna", Expected: 1}
					if _, err := store.Act(ctx, raises[i].Alarm, action, noon.Add(time.Minute)); err != nil {
						return fmt.Errorf("acknowledge: %w", err)
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := pgtest.Value[int](t, pool, `SELECT count(*) FROM alarms WHERE closed_at IS NOT NULL AND acknowledged_by = 'anna'`); n != count {
		t.Errorf("%d of %d alarms are closed and acknowledged", n, count)
	}
	acknowledgedFirst := pgtest.Value[int](t, pool, `SELECT count(*) FROM alarm_events WHERE kind = 'acknowledged' AND version = 2`)
	t.Logf("acknowledged first: %d of %d", acknowledgedFirst, count)
}

// TestHistoryFoldsToTheTableWithOperatorsAtWork runs batches, operators and the clock at once: nothing fails but what the
// lifecycle refuses, and folding each history gives the stored alarm.
func TestHistoryFoldsToTheTableWithOperatorsAtWork(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	steps := int64(repeats(t, "HEARTBEAT_TEST_ALARM_STEPS", 10_000))
	const customers = 40
	var done, refused, actions atomic.Int64
	var now atomic.Int64 // seconds since noon
	clock := func() time.Time { return noon.Add(time.Duration(now.Load()) * time.Second) }
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error {
		random := rand.New(rand.NewPCG(1, 2))
		offset := int64(0)
		for done.Load() < steps {
			var batch []alarm.Transition
			for range random.IntN(60) {
				now.Add(int64(random.IntN(3)))
				offset++
				kind := []alarm.Kind{alarm.Raised, alarm.Reopened, alarm.Cleared, alarm.Cleared, alarm.Worsened, alarm.Stale, alarm.Fresh}[random.IntN(7)]
				priority := alarm.Priority(1 + random.IntN(3))
				batch = append(batch, transition(fmt.Sprintf("CUST_%05d", random.IntN(customers)), kind, priority, clock(), offset))
			}
			if err := alarmstore.Apply(ctx, pool, "log", 0, batch); err != nil {
				return fmt.Errorf("apply: %w", err)
			}
			done.Add(int64(len(batch)))
		}
		return nil
	})
	for operator := range uint64(3) {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(3, operator))
			for done.Load() < steps {
				open, err := store.List(ctx, alarm.Query{Filter: alarm.FilterOpen, Limit: customers}, clock())
				if err != nil {
					return err
				}
				for _, held := range open {
					action := alarm.Action{
						Kind:  []alarm.Kind{alarm.Acknowledged, alarm.Snoozed, alarm.Assigned, alarm.Commented, alarm.Closed}[random.IntN(5)],
						Actor: fmt.Sprintf("operator %d", operator), Note: "note", For: 5 * time.Minute, Assignee: strconv.Itoa(random.IntN(3)),
						Expected: held.Version * int64(random.IntN(2)),
					}
					_, err := store.Act(ctx, held.ID, action, clock())
					if _, ok := errors.AsType[*alarm.Error](err); ok {
						refused.Add(1)
					} else if err != nil {
						return fmt.Errorf("%s: %w", action.Kind, err)
					} else {
						actions.Add(1)
						done.Add(1)
					}
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for done.Load() < steps {
			if _, err := store.Expire(ctx, clock()); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	alarms, events := foldAll(t, store)
	t.Logf("%d steps, %d of them actions, %d actions refused; %d alarms, %d events", done.Load(), actions.Load(), refused.Load(), alarms, events)
}

// foldAll folds the history of every alarm and compares.
func foldAll(t *testing.T, store *alarmstore.Store) (alarms, events int) {
	t.Helper()
	query := alarm.Query{Filter: alarm.FilterAll, Limit: 500}
	for {
		page, err := store.List(context.Background(), query, noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range page {
			history, err := store.History(t.Context(), stored.ID)
			if err != nil {
				t.Fatal(err)
			}
			history[0].Subject, history[0].Condition = stored.Subject, stored.Condition
			var folded alarm.Alarm
			for _, event := range history {
				if folded, err = alarm.Fold(folded, event); err != nil {
					t.Fatalf("alarm %s: fold event %d, %s: %v", stored.ID, event.Version, event.Kind, err)
				}
			}
			if diff := gocmp.Diff(folded, stored); diff != "" {
				t.Fatalf("alarm %s (-history +table):\n%s", stored.ID, diff)
			}
			events += len(history)
		}
		alarms += len(page)
		if len(page) < query.Limit {
			return alarms, events
		}
		cursor := alarm.CursorOf(&page[len(page)-1], noon)
		query.After = &cursor
	}
}
