package alarmstore_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

const pgxSimple = pgx.QueryExecModeSimpleProtocol

func wantCode(t *testing.T, err error, want alarm.Code) {
	t.Helper()
	if refused, ok := errors.AsType[*alarm.Error](err); !ok || refused.Code != want {
		t.Errorf("error is %v, want one of code %s", err, want)
	}
}

// fleet stores nine alarms, raised a minute apart: of each priority an active, an acknowledged and an ended one.
func fleet(t *testing.T, pool *pgxpool.Pool, store *alarmstore.Store) {
	t.Helper()
	var batch []alarm.Transition
	offset := int64(0)
	for i, priority := range []alarm.Priority{alarm.Low, alarm.Medium, alarm.High} {
		for j := range 3 {
			offset++
			raise := transition(fmt.Sprintf("CUST_%05d", 10*i+j), alarm.Raised, priority, minutes(float64(offset)), offset)
			batch = append(batch, raise)
		}
	}
	for i := range 3 {
		offset++
		batch = append(batch, transition(fmt.Sprintf("CUST_%05d", 10*i+2), alarm.Cleared, 0, minutes(float64(offset)), offset))
	}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 4, 7} {
		if _, err := store.Act(t.Context(), batch[i].Alarm, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, minutes(13)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestListsAreFilteredSortedAndPaged(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	fleet(t, pool, store)
	if _, err := store.SetCohort(t.Context(), 11, "ward 3", "anna"); err != nil {
		t.Fatal(err)
	}
	now := minutes(14)
	for name, test := range map[string]struct {
		query alarm.Query
		now   time.Time
		want  string
	}{
		"open ones, worst first":    {alarm.Query{Filter: alarm.FilterOpen}, now, "20 22 21 10 11 0 1"},
		"active":                    {alarm.Query{Filter: alarm.FilterActive}, now, "20 21 10 11 0 1"},
		"latched":                   {alarm.Query{Filter: alarm.FilterLatched}, now, "22"},
		"closed, newest first":      {alarm.Query{Filter: alarm.FilterClosed}, now, "12 2"},
		"all, newest first":         {alarm.Query{Filter: alarm.FilterAll}, now, "22 21 20 12 11 10 2 1 0"},
		"unacknowledged":            {alarm.Query{Filter: alarm.FilterOpen, Unacknowledged: true}, now, "20 22 10 0"},
		"acknowledgement has ended": {alarm.Query{Filter: alarm.FilterOpen, Unacknowledged: true, Priority: alarm.High}, minutes(28), "20 21 22"},
		"of a priority":             {alarm.Query{Filter: alarm.FilterAll, Priority: alarm.Medium}, now, "12 11 10"},
		"of a subject":              {alarm.Query{Filter: alarm.FilterAll, Subject: "CUST_00011"}, now, "11"},
		"of a condition":            {alarm.Query{Filter: alarm.FilterAll, Condition: alarm.BadSignal}, now, ""},
		"of a time":                 {alarm.Query{Filter: alarm.FilterAll, From: minutes(4), To: minutes(7)}, now, "12 11 10"},
		"of a cohort":               {alarm.Query{Filter: alarm.FilterAll, Cohort: "ward 3"}, time.Now().Add(time.Hour), "11"},
		"of a cohort too early":     {alarm.Query{Filter: alarm.FilterAll, Cohort: "ward 3"}, noon, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{1, 2, 100} {
				if got := numbers(t, store, test.query, limit, test.now); got != test.want {
					t.Errorf("pages of %d: %q, want %q", limit, got, test.want)
				}
			}
		})
	}
	counts, err := store.Counts(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []alarm.Count{
		{Condition: alarm.RateHigh, Priority: alarm.High, Open: 3, Unacknowledged: 2, OldestUnacknowledged: minutes(7)},
		{Condition: alarm.RateHigh, Priority: alarm.Medium, Open: 2, Unacknowledged: 1, OldestUnacknowledged: minutes(4)},
		{Condition: alarm.RateHigh, Priority: alarm.Low, Open: 2, Unacknowledged: 1, OldestUnacknowledged: minutes(1)},
	}
	if diff := gocmp.Diff(want, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	pgtest.WantRows(t, pool, `SELECT subject, phase FROM vw_open_alarms LIMIT 2`, "CUST_00020 active", "CUST_00021 active")
}

// numbers lists the customers' numbers over all pages.
func numbers(t *testing.T, store *alarmstore.Store, query alarm.Query, limit int, now time.Time) (text string) {
	t.Helper()
	query.Limit = limit
	for {
		page, err := store.List(t.Context(), query, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, held := range page {
			var n int
			fmt.Sscanf(held.Subject, "CUST_%d", &n)
			if text != "" {
				text += " "
			}
			text += fmt.Sprint(n)
		}
		if len(page) < limit {
			return text
		}
		cursor, err := alarm.ParseCursor(alarm.CursorOf(&page[len(page)-1], now).String())
		if err != nil {
			t.Fatal(err)
		}
		query.After = &cursor
	}
}

func TestUnknownAlarm(t *testing.T) {
	t.Parallel()
	store := alarmstore.New(pgtest.Database(t))
	_, err := store.Act(t.Context(), alarm.ID{1}, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, noon)
	wantCode(t, err, alarm.NotFound)
}

func TestConflictOfTwoOperators(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	raise := transition("CUST_00001", alarm.Raised, alarm.High, noon, 1)
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, []alarm.Transition{raise}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Act(t.Context(), raise.Alarm, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna", Expected: 1}, minutes(1)); err != nil {
		t.Fatal(err)
	}
	_, err := store.Act(t.Context(), raise.Alarm, alarm.Action{Kind: alarm.Acknowledged, Actor: "ben", Expected: 1}, minutes(2))
	wantCode(t, err, alarm.VersionConflict)
	history, err := store.History(t.Context(), raise.Alarm)
	if err != nil || len(history) != 2 || history[1].Actor != "anna" || history[1].Until != minutes(16) {
		t.Errorf("history %+v, %v; want anna's acknowledgement until 12:16", history, err)
	}
}

func TestWhatIsOverEnds(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	raise := transition("CUST_00001", alarm.Raised, alarm.High, noon, 1)
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, []alarm.Transition{raise}); err != nil {
		t.Fatal(err)
	}
	for _, action := range []alarm.Action{
		{Kind: alarm.Acknowledged, Actor: "anna"}, {Kind: alarm.Snoozed, Actor: "anna", Note: "moving", For: 15 * time.Minute},
	} {
		if _, err := store.Act(t.Context(), raise.Alarm, action, noon); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		at   time.Time
		want int
	}{{minutes(14.99), 0}, {minutes(15), 2}, {minutes(15), 0}} {
		if n, err := store.Expire(t.Context(), step.at); err != nil || n != step.want {
			t.Errorf("at %s %d ended, %v; want %d", step.at, n, err, step.want)
		}
	}
	pgtest.WantRows(t, pool, `SELECT acknowledged_at IS NULL, snoozed_until IS NULL, seen_at IS NOT NULL, version FROM alarms`, "true true true 5")
}

func TestLimitsAreHistory(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	before, err := store.LimitMark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	person := alarm.Limit{Scope: "person", Customer: "CUST_00042", High: 120, Author: "anna", Reason: "beta blocker"}
	night := person
	night.Hours, night.High = "22:00-06:00", 110
	set := mustSet(t, store, person)
	if set.EffectiveFrom.Sub(set.MadeAt) != alarmstore.LimitDelay {
		t.Errorf("made at %s, effective from %s; want %s between", set.MadeAt, set.EffectiveFrom, alarmstore.LimitDelay)
	}
	if after, err := store.LimitMark(t.Context()); err != nil || after == before {
		t.Errorf("the mark stays %+v (%v)", after, err)
	}
	mustSet(t, store, night)
	mustSet(t, store, person) // the same hours: the later one wins
	overlapping := night
	overlapping.Hours = "05:59-07:00"
	_, err = store.SetLimit(t.Context(), overlapping)
	wantCode(t, err, alarm.LimitOverlap)
	overlapping.Hours = "06:00-07:00"
	mustSet(t, store, overlapping)
	overlapping.UTCOffset = 120 // the same hours of another zone: 04:00 to 05:00 UTC
	_, err = store.SetLimit(t.Context(), overlapping)
	wantCode(t, err, alarm.LimitOverlap)
	late := person
	late.EndsAt = time.Now().Add(-time.Hour)
	late.EffectiveFrom = late.EndsAt.Add(-time.Hour)
	_, err = store.SetLimit(t.Context(), late)
	wantCode(t, err, alarm.BadRequest)

	ended, err := store.EndLimit(t.Context(), set.ID, "ben", "stopped")
	if err != nil || ended.EndedBy != "ben" || ended.EndsAt.Before(ended.EndedAt.Add(alarmstore.LimitDelay)) {
		t.Errorf("ended: %+v, %v", ended, err)
	}
	_, err = store.EndLimit(t.Context(), set.ID, "carl", "stopped")
	wantCode(t, err, alarm.LimitEnded)
	_, err = store.EndLimit(t.Context(), 999, "ben", "stopped")
	wantCode(t, err, alarm.LimitNotFound)
	_, err = store.EndLimit(t.Context(), set.ID+1, "ben", "")
	wantCode(t, err, alarm.ReasonRequired)

	if _, err := store.SetCohort(t.Context(), 42, "ward 3", "anna"); err != nil {
		t.Fatal(err)
	}
	limits, members, _, err := store.LimitHistory(t.Context())
	if err != nil || len(members) != 1 {
		t.Fatalf("%d members, %v; want 1", len(members), err)
	}
	history, err := detect.NewLimitHistory(detect.DefaultLimits(), limits, members)
	if err != nil {
		t.Fatal(err)
	}
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 2)
	for hour, want := range map[int]detect.Limits{12: {Low: 40, High: 120}, 23: {Low: 40, High: 110}} {
		if got := history.At(42, detect.TimeOf(day.Add(time.Duration(hour)*time.Hour))); got != want {
			t.Errorf("limits at %d o'clock %+v, want %+v", hour, got, want)
		}
	}
}

// A limit that is ended before it takes effect is never in force and overlaps no other.
func TestLimitEndedBeforeItBegan(t *testing.T) {
	t.Parallel()
	store := alarmstore.New(pgtest.Database(t))
	tomorrow := alarm.Limit{Scope: "fleet", High: 170, Hours: "08:00-12:00", Author: "anna", Reason: "x", EffectiveFrom: time.Now().Add(24 * time.Hour)}
	set := mustSet(t, store, tomorrow)
	ended, err := store.EndLimit(t.Context(), set.ID, "anna", "mistake")
	if err != nil || !ended.EndsAt.Equal(ended.EffectiveFrom) {
		t.Errorf("%+v, %v; want it to end as it begins", ended, err)
	}
	tomorrow.Hours = "09:00-10:00"
	mustSet(t, store, tomorrow)
	limits, _, _, err := store.LimitHistory(t.Context())
	if err != nil || len(limits) != 1 {
		t.Errorf("%d limits in force at some time, %v; want 1", len(limits), err)
	}
	listed, err := store.Limits(t.Context(), alarm.LimitQuery{Limit: 10}, time.Now())
	if err != nil || len(listed) != 1 {
		t.Errorf("%d listed, %v; want 1", len(listed), err)
	}
	if listed, err = store.Limits(t.Context(), alarm.LimitQuery{Limit: 10, Ended: true, Scope: "fleet"}, time.Now()); err != nil || len(listed) != 2 {
		t.Errorf("%d listed with ended ones, %v; want 2", len(listed), err)
	}
}

// Two changes at the same moment cannot both pass the check for overlaps.
func TestOverlappingLimitsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	store := alarmstore.New(pgtest.Database(t))
	for round := range 20 {
		outcomes := make(chan error, 2)
		for _, hours := range []string{"08:00-12:00", "11:00-13:00"} {
			go func() {
				_, err := store.SetLimit(t.Context(), alarm.Limit{
					Scope: "cohort", Cohort: fmt.Sprint(round), High: 170, Hours: hours, Author: "anna", Reason: "x",
				})
				outcomes <- err
			}()
		}
		errs := []error{<-outcomes, <-outcomes}
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i < 0 || errs[1-i] != nil {
			t.Fatalf("outcomes %v, want one of them refused", errs)
		} else {
			wantCode(t, errs[i], alarm.LimitOverlap)
		}
	}
}

func mustSet(t *testing.T, store *alarmstore.Store, limit alarm.Limit) alarm.Limit {
	t.Helper()
	set, err := store.SetLimit(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
