package schema_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

func TestMigrateIsDoneOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Empty(t)
	wantSchemaProblem(t, schema.Check(t.Context(), pool), schema.Missing)

	applied, err := schema.Migrate(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) == 0 || applied[0].AppliedAt == nil {
		t.Fatalf("applied %+v, want migrations with their time", applied)
	}
	if again, err := schema.Migrate(t.Context(), pool); err != nil || len(again) != 0 {
		t.Errorf("second run applied %v, %v; want nothing", again, err)
	}
	if err := schema.Check(t.Context(), pool); err != nil {
		t.Errorf("CheckSchema after Migrate: %v", err)
	}
}

func TestMigrationsAtOnceWaitForEachOther(t *testing.T) {
	t.Parallel()
	pool := pgtest.Empty(t)
	counts := make([]int, 4)
	var group sync.WaitGroup
	for i := range counts {
		group.Go(func() {
			applied, err := schema.Migrate(t.Context(), pool)
			if err != nil {
				t.Error(err)
			}
			counts[i] = len(applied)
		})
	}
	group.Wait()
	state, err := schema.State(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, count := range counts {
		total += count
	}
	if total != len(state) {
		t.Errorf("runs applied %v of %d migrations, want each once", counts, len(state))
	}
}

func TestMigrationKilledHalfWayIsContinued(t *testing.T) {
	t.Parallel()
	pool := pgtest.Empty(t)
	// An error after the third migration's table stops the run after two; a lock on the migration history would only delay it.
	pgtest.Exec(t, pool, `
CREATE FUNCTION stop_migration() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('pipeline_metrics') IS NOT NULL THEN
        RAISE 'stopped';
    END IF;
END $$;
CREATE EVENT TRIGGER stop_migration ON ddl_command_end EXECUTE FUNCTION stop_migration()`)
	applied, err := schema.Migrate(t.Context(), pool)
	if err == nil || len(applied) != 2 {
		t.Fatalf("applied %d migrations, %v; want 2 and an error", len(applied), err)
	}
	wantSchemaProblem(t, schema.Check(t.Context(), pool), schema.Older)
	if pgtest.Value[bool](t, pool, `SELECT to_regclass('pipeline_metrics') IS NOT NULL`) {
		t.Error("the migration that broke off left a table behind")
	}

	pgtest.Exec(t, pool, `DROP EVENT TRIGGER stop_migration`)
	if _, err := schema.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if err := schema.Check(t.Context(), pool); err != nil {
		t.Error(err)
	}
}

// A process that dies while it waits for a lock within a migration is a kill -9 as far as the server can tell.
func TestMigrationThatLosesItsSessionIsHarmless(t *testing.T) {
	t.Parallel()
	pool := pgtest.Empty(t)
	if _, err := schema.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, pool, `DELETE FROM schema_migrations WHERE version = 5; DROP VIEW vw_customer_bpm_summary, vw_recent_anomalies, vw_pipeline_summary`)
	blocker, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Rollback(context.Background())
	if _, err := blocker.Exec(t.Context(), `LOCK TABLE heartbeat_records IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() {
		_, err := schema.Migrate(t.Context(), pool)
		done <- err
	}()
	const victim = `FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%vw_recent%'`
	pgtest.Await(t, "the migration to wait for the lock", func() bool {
		return pgtest.Value[int](t, pool, `SELECT count(*) `+victim) == 1
	})
	pgtest.Exec(t, pool, `SELECT pg_terminate_backend(pid) `+victim)
	if err := <-done; err == nil {
		t.Fatal("a migration without its session succeeded")
	}
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if applied, err := schema.Migrate(t.Context(), pool); err != nil || len(applied) != 1 {
		t.Errorf("next run applied %d, %v; want the one that broke off", len(applied), err)
	}
}

func TestMigrateRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, sql string
		want      schema.Problem
	}{
		{"database newer than the binary", `INSERT INTO schema_migrations (version, name, checksum) VALUES (999, 'future', '')`, schema.Newer},
		{"migration edited after it was applied", `UPDATE schema_migrations SET checksum = 'other' WHERE version = 2`, schema.Edited},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Database(t)
			pgtest.Exec(t, pool, test.sql)
			_, err := schema.Migrate(t.Context(), pool)
			wantSchemaProblem(t, err, test.want)
			wantSchemaProblem(t, schema.Check(t.Context(), pool), test.want)
		})
	}
}

func wantSchemaProblem(t *testing.T, err error, want schema.Problem) {
	t.Helper()
	if problem, ok := errors.AsType[*schema.Error](err); !ok || problem.Problem != want {
		t.Errorf("error is %v, want a SchemaError of kind %s", err, want)
	}
}
