package schema_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/postgres/schema"
)

// Roles belong to the server that all tests of this binary share, so one test makes them.
func TestEachRoleMayDoItsWorkAndNoMore(t *testing.T) {
	t.Parallel()
	owner := pgtest.Database(t)
	passwords := map[schema.Role]string{
		schema.IngestRole: "in%gest' secret", schema.DashboardRole: "dashboard-secret", schema.GrafanaRole: "gräfin",
	}
	for range 2 { // a second time changes nothing
		if err := schema.ApplyRoles(t.Context(), owner, passwords); err != nil {
			t.Fatal(err)
		}
	}
	pools := map[schema.Role]*pgxpool.Pool{}
	for role, password := range passwords {
		pools[role] = pgtest.SignIn(t, owner, string(role), password)
	}
	t.Run("ingest stores and maintains", func(t *testing.T) { ingestWorks(t, pools[schema.IngestRole]) })
	t.Run("dashboard reads", func(t *testing.T) { dashboardWorks(t, pools[schema.DashboardRole]) })
	t.Run("others are refused", func(t *testing.T) { wantPermissionDenied(t, pools) })
	t.Run("what is not granted here is taken back", func(t *testing.T) {
		pgtest.Exec(t, owner, `GRANT DELETE ON customer_state TO heartbeat_grafana, heartbeat_ingest`)
		if err := schema.ApplyRoles(t.Context(), owner, nil); err != nil {
			t.Fatal(err)
		}
		if pgtest.Value[bool](t, owner, `SELECT has_table_privilege('heartbeat_ingest', 'customer_state', 'DELETE') OR has_table_privilege('heartbeat_grafana', 'customer_state', 'DELETE')`) {
			t.Error("a right from elsewhere has stayed")
		}
	})
	t.Run("a password that cannot be is refused", func(t *testing.T) {
		for _, password := range []string{"", "two\nlines", "bell\a"} {
			if err := schema.ApplyRoles(t.Context(), owner, map[schema.Role]string{schema.GrafanaRole: password}); err == nil {
				t.Errorf("the password %q is taken", password)
			}
		}
	})
}

func ingestWorks(t *testing.T, pool *pgxpool.Pool) {
	if err := schema.Check(t.Context(), pool); err != nil {
		t.Error(err)
	}
	store := pgtest.NewStoreOn(pool)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	all := append(pgtest.Readings(0, 20), pgtest.Reading(20, 7, 200, pgtest.Noon))
	batch := pgtest.BatchOf(all)
	batch.To++
	batch.DeadLetters = []heartbeat.DeadLetter{pgtest.DeadLetter(21, heartbeat.NotJSON, "test", []byte("{"))}
	batch.Customers = []pipeline.CustomerState{{Reading: all[0].Reading, Offset: 0}}
	batch.Snapshot = &pipeline.Stats{Valid: 20, Anomalies: 1}
	pgtest.MustWrite(t, store, claim, batch)
	claim.Next, claim.StateFrom = batch.To, batch.StateFrom
	if _, err := store.Record(t.Context(), claim, pipeline.Incident{Kind: pipeline.RetentionPassed, From: 22, To: 30, Detail: "test"}); err != nil {
		t.Error(err)
	}
	// A retention that drops all: partitions are made, counted and dropped.
	if err := partition.New(pool, time.Hour).Maintain(t.Context()); err != nil {
		t.Error(err)
	}
	pgtest.Exec(t, pool, `UPDATE dead_letters SET replayed_at = now()`)
}

func dashboardWorks(t *testing.T, pool *pgxpool.Pool) {
	dashboard := query.NewDashboard(pool)
	if _, err := dashboard.Totals(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := dashboard.Progress(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := dashboard.DeadLetter(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if _, err := dashboard.Tables(t.Context(), 10); err != nil {
		t.Error(err)
	}
}

func wantPermissionDenied(t *testing.T, pools map[schema.Role]*pgxpool.Pool) {
	const insufficientPrivilege = "42501"
	for role, statements := range map[schema.Role][]string{
		schema.IngestRole: {
			`DELETE FROM dead_letters`, `UPDATE dead_letters SET reason = ''`, `DELETE FROM ingest_progress`, `TRUNCATE data_incidents`,
			`UPDATE data_incidents SET detail = ''`, `INSERT INTO schema_migrations (version, name, checksum) VALUES (99, '', '')`,
			`DROP VIEW vw_pipeline_summary`, `ALTER TABLE fleet_minute ADD x int`, `CREATE ROLE intruder`, `CREATE SCHEMA intruder`,
			`SET ROLE heartbeat_owner`,
		},
		schema.DashboardRole: {
			`DELETE FROM heartbeat_records`, `INSERT INTO fleet_minute DEFAULT VALUES`, `CREATE TABLE intruder ()`, `CREATE TEMP TABLE intruder ()`,
			`UPDATE ingest_progress SET fence = fence + 1`, `SET ROLE heartbeat_ingest`,
		},
		schema.GrafanaRole: {
			`SELECT raw_message FROM heartbeat_anomalies`, `SELECT raw_value FROM dead_letters`, `SELECT * FROM dead_letters`, `SELECT * FROM schema_migrations`,
			`DELETE FROM heartbeat_anomalies`, `UPDATE customer_state SET heart_rate = 0`, `CREATE TABLE intruder ()`, `SELECT pg_read_file('/etc/passwd')`,
			`SET ROLE heartbeat_dashboard`, `COPY customer_state TO PROGRAM 'true'`,
		},
	} {
		for _, statement := range statements {
			// In a transaction that may write: a right is what is missing, not the mode of the session.
			err := pgx.BeginTxFunc(t.Context(), pools[role], pgx.TxOptions{AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), statement)
				return err
			})
			if serverError, ok := errors.AsType[*pgconn.PgError](err); !ok || serverError.Code != insufficientPrivilege {
				t.Errorf("%s: %s: %v, want it refused for lack of a right", role, statement, err)
			}
		}
		readOnly := pgtest.Value[bool](t, pools[role], `SELECT current_setting('default_transaction_read_only')::boolean`)
		if readOnly != (role != schema.IngestRole) {
			t.Errorf("%s: sessions are read-only: %t", role, readOnly)
		}
	}
}
