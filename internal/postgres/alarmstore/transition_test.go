package alarmstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/alarm"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/pgwire"
)

func minutes(n float64) time.Time { return noon.Add(time.Duration(n * float64(time.Minute))) }

func TestRaiseClearAndRaiseInOneBatch(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	batch := []alarm.Transition{
		transition("CUST_00001", alarm.Raised, alarm.Low, minutes(0), 1),
		transition("CUST_00002", alarm.Raised, alarm.High, minutes(0), 2),
		transition("CUST_00001", alarm.Cleared, alarm.Low, minutes(1), 3),
		transition("CUST_00001", alarm.Reopened, alarm.Low, minutes(2), 4),
		transition("CUST_00001", alarm.Worsened, alarm.High, minutes(3), 5),
	}
	for range 3 { // as after commits with an unknown outcome
		if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.WantRows(t, pool, `
SELECT subject, priority::text, active, recurrences, version, kafka_offset, episode_first_offset FROM alarms ORDER BY subject`,
		"CUST_00001 high true 1 4 5 4", "CUST_00002 high true 0 1 2 2")
	pgtest.WantRows(t, pool, `
SELECT kind, version, kafka_offset FROM vw_alarm_history WHERE subject = 'CUST_00001' ORDER BY version`,
		"raised 1 1", "cleared 2 3", "reopened 3 4", "worsened 4 5")
}

func TestRaiseWhileTheAlarmIsLatchedIsARecurrence(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for _, batch := range [][]alarm.Transition{
		{transition("CUST_00001", alarm.Raised, alarm.High, minutes(0), 1), transition("CUST_00001", alarm.Cleared, alarm.High, minutes(1), 2)},
		{transition("CUST_00001", alarm.Raised, alarm.High, minutes(60), 3)},
	} {
		if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.WantRows(t, pool, `SELECT active, recurrences, (active_since - raised_at)::text FROM alarms`, "true 1 01:00:00")
}

func TestTransitionsWithoutAnActiveAlarmHaveNoEffect(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for offset, kind := range []alarm.Kind{alarm.Cleared, alarm.Worsened, alarm.Eased, alarm.Stale, alarm.Fresh} {
		batch := []alarm.Transition{transition("CUST_00001", kind, alarm.High, noon, int64(offset))}
		if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
			t.Fatal(err)
		}
	}
	if n := pgtest.Count(t, pool, "alarms") + pgtest.Count(t, pool, "alarm_events"); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// An alarm whose values the database refuses must not cost a reading its place: the error is not of kind BadData.
func TestErrorOfATransitionIsNeverBadData(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	bad := transition("CUST_00001", alarm.Raised, alarm.High, noon, 1)
	bad.Condition = "unheard_of"
	pgtest.WantKind(t, alarmstore.Apply(t.Context(), pool, "log", 0, []alarm.Transition{bad}), pipeline.Fatal)
	for code, want := range map[string]pipeline.Kind{"22003": pipeline.Fatal, "23514": pipeline.Fatal, "23505": pipeline.Transient} {
		failed := fmt.Errorf("write: %w", &pgwire.StatementError{Statement: alarmstore.ApplyStatement, Err: &pgconn.PgError{Code: code}})
		pgtest.WantKind(t, alarmstore.Classify(failed), want)
	}
	for _, other := range []error{
		nil, &pgwire.StatementError{Statement: "copy_records", Err: &pgconn.PgError{Code: "22003"}},
		&pgwire.StatementError{Statement: alarmstore.ApplyStatement, Err: &pgconn.PgError{Code: "57P01"}},
	} {
		if got := alarmstore.Classify(other); got != other {
			t.Errorf("%v became %v", other, got)
		}
	}
}

func TestHistoryAndAlarmsCannotBeChangedOrRemoved(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t) // signed in as a superuser, who owns everything
	store := alarmstore.New(pool)
	batch := []alarm.Transition{
		transition("CUST_00001", alarm.Raised, alarm.Low, noon, 1), transition("CUST_00001", alarm.Cleared, alarm.Low, minutes(1), 2),
		transition("CUST_00002", alarm.Raised, alarm.Low, noon, 3),
	}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	limit, err := store.SetLimit(t.Context(), alarm.Limit{Scope: "fleet", High: 170, Author: "anna", Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.SetCohort(t.Context(), 1, "ward 3", "anna"); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE alarm_events SET actor = 'somebody else'`, `DELETE FROM alarm_events`, `TRUNCATE alarm_events`, `DELETE FROM alarms`, `TRUNCATE alarms`,
		`SET session_replication_role = replica; DELETE FROM alarm_events`,
		`UPDATE detection_limits SET high = 200`, `DELETE FROM detection_limits`, `TRUNCATE detection_limits`,
		`UPDATE detection_limits SET ends_at = 'infinity', ended_at = now(), ended_by = 'ben', end_reason = 'x', author = 'ben'`,
		`UPDATE cohort_members SET cohort = ''`, `DELETE FROM cohort_members`, `TRUNCATE cohort_members`,
		`SELECT drop_closed_alarms(now())`,
	} {
		if _, err := pool.Exec(t.Context(), statement, pgxSimple); err == nil {
			t.Errorf("%s is possible", statement)
		}
	}
	if _, err := store.EndLimit(t.Context(), limit.ID, "ben", "done"); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE detection_limits SET ended_by = 'anna'`); err == nil {
		t.Error("the end of a limit can be changed")
	}
}

func TestClosedAlarmsLeaveByTheirAgeWithTheirHistory(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	batch := []alarm.Transition{
		transition("CUST_00001", alarm.Raised, alarm.Low, noon, 1), transition("CUST_00001", alarm.Cleared, alarm.Low, minutes(1), 2),
		transition("CUST_00002", alarm.Raised, alarm.Low, noon, 3), transition("CUST_00002", alarm.Cleared, alarm.Low, minutes(90), 4),
		transition("CUST_00003", alarm.Raised, alarm.High, noon, 5), transition("CUST_00003", alarm.Cleared, alarm.High, minutes(1), 6), // latched
	}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	if dropped, err := alarmstore.New(pool).DropClosed(t.Context(), minutes(60)); err != nil || dropped != 1 {
		t.Errorf("%d dropped, %v; want 1", dropped, err)
	}
	pgtest.WantRows(t, pool, `SELECT subject FROM alarms ORDER BY subject`, "CUST_00002", "CUST_00003")
	pgtest.WantRows(t, pool, `SELECT count(*), count(DISTINCT alarm_id) FROM alarm_events`, "4 2")
	if _, err := pool.Exec(t.Context(), `DELETE FROM alarm_events`); err == nil {
		t.Error("history can be deleted after retention ran in the session")
	}
}
