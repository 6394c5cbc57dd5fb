package alarmstore_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

// The readings are of February, so a timer on the readings' own time would escalate at once.
func TestAlarmsEscalateByTheTimeSinceTheyWereRecorded(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	batch := []alarm.Transition{
		transition("CUST_00001", alarm.Raised, alarm.High, noon, 1),
		transition("CUST_00002", alarm.Raised, alarm.Medium, noon, 2),
		transition("CUST_00003", alarm.Raised, alarm.Low, noon, 3),
		transition("CUST_00004", alarm.Raised, alarm.High, noon, 4), // acknowledged at 59.9 s
		transition("CUST_00005", alarm.Raised, alarm.High, noon, 5), // ends unseen: goes on
		transition("CUST_00005", alarm.Cleared, alarm.High, noon, 6),
		transition("CUST_00006", alarm.Raised, alarm.Low, noon, 7), // becomes worse
		transition("CUST_00006", alarm.Worsened, alarm.High, noon, 8),
	}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	began := pgtest.Value[time.Time](t, pool, `SELECT max(recorded_at) FROM alarm_events`)
	escalate := func(after time.Duration, want string) {
		t.Helper()
		if _, err := store.Escalate(t.Context(), began.Add(after)); err != nil {
			t.Fatal(err)
		}
		got := pgtest.Value[string](t, pool, `SELECT coalesce(string_agg(right(subject, 1) || ':' || tier, ' ' ORDER BY subject), '') FROM alarms WHERE tier > 0`)
		if got != want {
			t.Errorf("after %s the tiers are %q, want %q", after, got, want)
		}
	}
	escalate(59*time.Second, "")
	if _, err := store.Act(t.Context(), batch[3].Alarm, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, began.Add(59900*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	escalate(60*time.Second, "1:1 5:1 6:1")
	escalate(179*time.Second, "1:1 5:1 6:1")
	escalate(180*time.Second, "1:2 5:2 6:2")
	escalate(479*time.Second, "1:2 5:2 6:2")
	escalate(480*time.Second, "1:2 5:2 6:2")
	escalate(600*time.Second, "1:2 2:1 5:2 6:2")
	// The acknowledgement of 4 expires after 15 minutes, and people are called again from the first tier on.
	if _, err := store.Expire(t.Context(), began.Add(59900*time.Millisecond+15*time.Minute)); err != nil {
		t.Fatal(err)
	}
	escalate(60*time.Second+15*time.Minute, "1:2 2:1 5:2 6:2")
	escalate(120*time.Second+15*time.Minute, "1:2 2:1 4:1 5:2 6:2")
	pgtest.WantRows(t, pool, `SELECT subject, string_agg(tier::text, ' ' ORDER BY version) FROM vw_alarm_history WHERE kind = 'escalated' GROUP BY 1 ORDER BY 1`,
		"CUST_00001 1 2 2 2", "CUST_00002 1", "CUST_00004 1", "CUST_00005 1 2 2 2", "CUST_00006 1 2 2 2")
	foldAll(t, store)
}

// An alarm that is not answered for weeks gets an event each 5 minutes. The timer looks each second, so it must not read them all.
func TestEscalationReadsTheEndOfAHistoryOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	batch := []alarm.Transition{transition("CUST_00001", alarm.Raised, alarm.High, noon, 1), transition("CUST_00002", alarm.Raised, alarm.High, noon, 2)}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, pool, `
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, tier)
SELECT gen_random_uuid(), alarm_id, n, 'escalated', now() + n * interval '5 minutes', 2 FROM alarms, generate_series(2, 3000) AS n`)
	pgtest.Exec(t, pool, `UPDATE alarms SET version = 3000, tier = 2`)
	pgtest.Exec(t, pool, `ANALYZE alarms, alarm_events`)
	now := pgtest.Value[time.Time](t, pool, `SELECT max(at) + interval '5 minutes' FROM alarm_events`)
	text := strings.ReplaceAll(alarmstore.EscalateSQL, "$1", "'"+now.Format(time.RFC3339Nano)+"'::timestamptz")
	rows, err := pool.Query(t.Context(), `EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) `+text)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range plan {
		for _, found := range regexp.MustCompile(`(?:actual rows=|Removed by Filter: )([0-9]+)`).FindAllStringSubmatch(line, -1) {
			if count, err := strconv.Atoi(found[1]); err != nil || count > 10 {
				t.Fatalf("it reads %s rows of 6000:\n%s", found[1], strings.Join(plan, "\n"))
			}
		}
	}
	if got := pgtest.Value[int](t, pool, `SELECT count(*) FROM alarms WHERE version = 3001`); got != 2 {
		t.Errorf("%d alarms escalated, want 2", got)
	}
}

func TestSnoozedAlarmCallsAgainAtItsEnd(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	raise := transition("CUST_00001", alarm.Raised, alarm.High, noon, 1)
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, []alarm.Transition{raise}); err != nil {
		t.Fatal(err)
	}
	began := pgtest.Value[time.Time](t, pool, `SELECT max(recorded_at) FROM alarm_events`)
	for _, after := range []time.Duration{time.Minute, 3 * time.Minute} { // to tier 2
		if escalated, err := store.Escalate(t.Context(), began.Add(after)); escalated != 1 || err != nil {
			t.Fatal(escalated, err)
		}
	}
	began = began.Add(4 * time.Minute)
	if _, err := store.Act(t.Context(), raise.Alarm, alarm.Action{Kind: alarm.Snoozed, Actor: "anna", Note: "electrode", For: 10 * time.Minute}, began); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		ended int
		raise int
	}{
		{9*time.Minute + 59*time.Second, 0, 0}, {10 * time.Minute, 1, 0}, {10*time.Minute + 59*time.Second, 0, 0}, {11 * time.Minute, 0, 1},
		{12*time.Minute + 59*time.Second, 0, 0}, {13 * time.Minute, 0, 1},
	} {
		ended, err := store.Expire(t.Context(), began.Add(step.after))
		if err != nil {
			t.Fatal(err)
		}
		escalated, err := store.Escalate(t.Context(), began.Add(step.after))
		if err != nil {
			t.Fatal(err)
		}
		if ended != step.ended || escalated != step.raise {
			t.Errorf("after %s: %d snoozes ended and %d escalated, want %d and %d", step.after, ended, escalated, step.ended, step.raise)
		}
	}
	pgtest.WantRows(t, pool, `SELECT string_agg(tier::text, ' ' ORDER BY version) FROM alarm_events WHERE kind = 'escalated'`, "1 2 1 2")
	foldAll(t, store)
}

func TestAnyNumberOfProcessesEscalateOnce(t *testing.T) {
	t.Parallel()
	const alarms, processes = 200, 8
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	var batch []alarm.Transition
	for i := range alarms {
		batch = append(batch, transition(fmt.Sprintf("CUST_%05d", i+1), alarm.Raised, alarm.High, noon, int64(i)))
	}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	began := pgtest.Value[time.Time](t, pool, `SELECT max(recorded_at) FROM alarm_events`)
	// The repeats of tier 2 change nothing in the table that would tell a second process of the first.
	for _, after := range []time.Duration{60 * time.Second, 180 * time.Second, 480 * time.Second, 780 * time.Second} {
		var total atomic.Int64
		var group sync.WaitGroup
		for range processes {
			group.Go(func() {
				for range 3 {
					escalated, err := store.Escalate(t.Context(), began.Add(after))
					if err != nil {
						t.Error(err)
					}
					total.Add(int64(escalated))
				}
			})
		}
		group.Wait()
		if total.Load() != alarms {
			t.Errorf("after %s: %d escalations of %d alarms", after, total.Load(), alarms)
		}
	}
}
