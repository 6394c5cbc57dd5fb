package alarmstore_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// model is the reference: the alarms of some subjects in memory, moved by alarm.Fold alone.
type model struct {
	alarms []*alarm.Alarm
}

// apply does what the store must do with a transition. It reports whether there was an effect.
func (m *model) apply(t alarm.Transition, log string, partition int32) (bool, error) {
	held := m.target(&t)
	opens := t.Kind == alarm.Raised || t.Kind == alarm.Reopened
	if !opens && (held == nil || !held.Active) || held != nil && held.Offset > t.Offset {
		return false, nil
	}
	event := alarm.Event{
		Alarm: t.Alarm, Version: 1, Kind: t.Kind, At: t.At, Since: t.Since, Subject: t.Subject, Condition: t.Condition, Priority: t.Priority,
		Measure: t.Measure, Position: &alarm.Position{Log: log, Partition: partition, Offset: t.Offset},
	}
	switch {
	case held == nil:
		held = &alarm.Alarm{}
		m.alarms = append(m.alarms, held)
		event.Kind = alarm.Raised
	case opens && held.Open():
		event.Kind = alarm.Recurred
	case opens:
		event.Kind = alarm.Reopened
	}
	if held.Version > 0 {
		event.Alarm, event.Version = held.ID, held.Version+1
	}
	after, err := alarm.Fold(*held, event)
	*held = after
	return true, err
}

func (m *model) target(t *alarm.Transition) *alarm.Alarm {
	var latest *alarm.Alarm
	for _, a := range m.alarms {
		switch {
		case a.Subject != t.Subject || a.Condition != t.Condition:
		case a.Open():
			return a
		case t.Kind == alarm.Reopened && (latest == nil || a.ClearedAt.After(latest.ClearedAt)):
			latest = a
		}
	}
	return latest
}

var subjectNumber atomic.Int64

// drawTransition draws a transition that the detector could or could not report: the store must take either.
func drawTransition(t *rapid.T, subjects []string, at time.Time, offset int64) alarm.Transition {
	transition := alarm.Transition{
		Alarm:     uuid.New(),
		Subject:   rapid.SampledFrom(subjects).Draw(t, "subject"),
		Condition: rapid.SampledFrom([]alarm.Condition{alarm.RateHigh, alarm.RateLow}).Draw(t, "condition"),
		Kind: rapid.SampledFrom([]alarm.Kind{
			alarm.Raised, alarm.Raised, alarm.Reopened, alarm.Worsened, alarm.Eased, alarm.Cleared, alarm.Cleared, alarm.Cleared, alarm.Stale, alarm.Fresh,
		}).Draw(t, "kind"),
		Priority: rapid.SampledFrom(alarm.Priorities[:]).Draw(t, "priority"),
		At:       at, Since: at.Add(-15 * time.Second), Offset: offset,
	}
	transition.Value = rapid.Int32Range(0, 300).Draw(t, "value")
	transition.Peak = rapid.Int32Range(0, 300).Draw(t, "peak")
	transition.Limit = rapid.SampledFrom([]int32{0, 40, 180}).Draw(t, "limit")
	return transition
}

func drawAction(t *rapid.T) alarm.Action {
	return alarm.Action{
		Kind: rapid.SampledFrom([]alarm.Kind{
			alarm.Acknowledged, alarm.Acknowledged, alarm.Snoozed, alarm.Assigned, alarm.Commented, alarm.Closed,
		}).Draw(t, "action"),
		Actor:    rapid.SampledFrom([]string{"anna", "ben"}).Draw(t, "actor"),
		Note:     rapid.SampledFrom([]string{"", "on my way"}).Draw(t, "note"),
		Assignee: rapid.SampledFrom([]string{"", "ben"}).Draw(t, "assignee"),
		For:      time.Duration(rapid.IntRange(-1, 20).Draw(t, "minutes")) * time.Minute,
	}
}

// TestStoreFollowsTheFold holds the statements against the reference: every column of every alarm after every batch and action.
func TestStoreFollowsTheFold(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		var subjects []string
		for range rapid.SampledFrom([]int{2, 6, 20}).Draw(rt, "subjects") {
			subjects = append(subjects, fmt.Sprintf("CUST_%05d", subjectNumber.Add(1)))
		}
		var reference model
		at, offset := noon, int64(0)
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			var batch []alarm.Transition
			for range rapid.IntRange(0, 20*len(subjects)).Draw(rt, "transitions") {
				at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 2, 60, 300}).Draw(rt, "seconds")) * time.Second)
				offset++
				batch = append(batch, drawTransition(rt, subjects, at, offset))
			}
			repeats := rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(rt, "writes")
			for range repeats {
				if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
					rt.Fatal(err)
				}
			}
			for _, transition := range batch {
				if _, err := reference.apply(transition, "log", 0); err != nil {
					rt.Fatal(err)
				}
			}
			steps += len(batch)
			for range min(len(reference.alarms), 10) {
				actOnBoth(rt, store, rapid.SampledFrom(reference.alarms).Draw(rt, "alarm"), drawAction(rt), at)
				steps++
			}
			at = at.Add(time.Duration(rapid.SampledFrom([]int{0, 5, 20}).Draw(rt, "minutes")) * time.Minute)
			steps += expireBoth(rt, store, &reference, at)
			compare(rt, pool, subjects, &reference)
		}
	})
	t.Logf("%d steps", steps)
}

// actOnBoth does an action to the stored alarm and to the reference.
func actOnBoth(t *rapid.T, store *alarmstore.Store, held *alarm.Alarm, action alarm.Action, now time.Time) {
	after, _, changed, want := held.Act(action, nil, uuid.New(), now)
	got, err := store.Act(t.Context(), held.ID, action, now)
	wantError, gotError := (*alarm.Error)(nil), (*alarm.Error)(nil)
	errors.As(want, &wantError)
	if err != nil && !errors.As(err, &gotError) {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(wantError, gotError); diff != "" {
		t.Fatalf("%s of %+v is refused otherwise (-fold +store):\n%s", action.Kind, held, diff)
	}
	if changed {
		*held = after
	}
	if diff := gocmp.Diff(*held, got); err == nil && diff != "" {
		t.Fatalf("%s (-fold +store):\n%s", action.Kind, diff)
	}
}

func expireBoth(t *rapid.T, store *alarmstore.Store, reference *model, now time.Time) (count int) {
	if _, err := store.Expire(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for _, held := range reference.alarms {
		for _, kind := range held.Due(now) {
			after, err := alarm.Fold(*held, alarm.Event{Alarm: held.ID, Version: held.Version + 1, Kind: kind, At: now})
			if err != nil {
				t.Fatal(err)
			}
			*held = after
			count++
		}
	}
	return count
}

func compare(t *rapid.T, pool *pgxpool.Pool, subjects []string, reference *model) {
	stored, err := alarmstore.Subjects(t.Context(), pool, subjects)
	if err != nil {
		t.Fatal(err)
	}
	want := []alarm.Alarm{}
	for _, held := range reference.alarms {
		want = append(want, *held)
	}
	byID := func(a, b alarm.Alarm) int { return cmp.Compare(a.ID.String(), b.ID.String()) }
	slices.SortFunc(want, byID)
	slices.SortFunc(stored, byID)
	if diff := gocmp.Diff(want, stored); diff != "" {
		t.Fatalf("alarms differ (-fold +store):\n%s", diff)
	}
}
