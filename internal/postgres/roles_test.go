package postgres_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

// Roles belong to the server that all tests of this binary share, so one test makes them.
func TestEachRoleMayDoItsWorkAndNoMore(t *testing.T) {
	t.Parallel()
	owner := pgtest.Database(t)
	passwords := map[postgres.Role]string{
		postgres.IngestRole: "in%gest' secret", postgres.DashboardRole: "dashboard-secret", postgres.GrafanaRole: "gräfin",
	}
	for range 2 { // a second time changes nothing
		if err := postgres.ApplyRoles(t.Context(), owner, passwords); err != nil {
			t.Fatal(err)
		}
	}
	pools := map[postgres.Role]*pgxpool.Pool{}
	for role, password := range passwords {
		pools[role] = signIn(t, owner, role, password)
	}
	t.Run("ingest stores and maintains", func(t *testing.T) { ingestWorks(t, pools[postgres.IngestRole]) })
	t.Run("ingest packs and nobody else", func(t *testing.T) { ingestPacks(t, pools) })
	t.Run("dashboard reads", func(t *testing.T) { dashboardWorks(t, pools[postgres.DashboardRole]) })
	t.Run("others are refused", func(t *testing.T) { refusals(t, pools) })
	t.Run("what is not granted here is taken back", func(t *testing.T) {
		pgtest.Exec(t, owner, `GRANT DELETE ON customer_state TO heartbeat_grafana, heartbeat_ingest`)
		if err := postgres.ApplyRoles(t.Context(), owner, nil); err != nil {
			t.Fatal(err)
		}
		if pgtest.Value[bool](t, owner, `SELECT has_table_privilege('heartbeat_ingest', 'customer_state', 'DELETE') OR has_table_privilege('heartbeat_grafana', 'customer_state', 'DELETE')`) {
			t.Error("a right from elsewhere has stayed")
		}
	})
	t.Run("a password that cannot be is refused", func(t *testing.T) {
		for _, password := range []string{"", "two\nlines", "bell\a"} {
			if err := postgres.ApplyRoles(t.Context(), owner, map[postgres.Role]string{postgres.GrafanaRole: password}); err == nil {
				t.Errorf("the password %q is taken", password)
			}
		}
	})
}

func signIn(t *testing.T, owner *pgxpool.Pool, role postgres.Role, password string) *pgxpool.Pool {
	t.Helper()
	address, err := url.Parse(pgtest.URL(owner))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(string(role), password)
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: address.String(), Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := postgres.Ping(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return pool
}

func ingestWorks(t *testing.T, pool *pgxpool.Pool) {
	if err := postgres.CheckSchema(t.Context(), pool); err != nil {
		t.Error(err)
	}
	store := newStoreOn(pool)
	claim := mustClaim(t, store, partition, 0)
	all := append(readings(0, 20), reading(20, 7, 200, noon))
	batch := batchOf(all)
	batch.To++
	batch.DeadLetters = []heartbeat.DeadLetter{deadLetter(21, heartbeat.NotJSON, "test", []byte("{"))}
	batch.Customers = []pipeline.CustomerState{{Reading: all[0].Reading, Offset: 0}}
	batch.Snapshot = &pipeline.Stats{Valid: 20, Anomalies: 1}
	mustWrite(t, store, claim, batch)
	claim.Next, claim.StateFrom = batch.To, batch.StateFrom
	if _, err := store.Record(t.Context(), claim, pipeline.Incident{Kind: pipeline.RetentionPassed, From: 22, To: 30, Detail: "test"}); err != nil {
		t.Error(err)
	}
	// A retention that drops all: partitions are made, counted and dropped.
	if err := postgres.NewTables(pool, time.Hour).Maintain(t.Context()); err != nil {
		t.Error(err)
	}
	pgtest.Exec(t, pool, `UPDATE dead_letters SET replayed_at = now()`)
}

func ingestPacks(t *testing.T, pools map[postgres.Role]*pgxpool.Pool) {
	store, now := newStoreOn(pools[postgres.IngestRole]), time.Now()
	claim := mustClaim(t, store, partition, 0)
	mustWrite(t, store, claim, batchOf([]pipeline.Reading{reading(claim.Next, 7, 75, now)}))
	pack := func(role postgres.Role) (packed int, err error) {
		tables := postgres.NewTables(pools[role], 0)
		tables.SetPackAbove(0)
		tables.Packed = func(postgres.Packing) { packed++ }
		err = tables.Pack(t.Context(), now.Add(2*time.Hour))
		return packed, err
	}
	if _, err := pack(postgres.DashboardRole); err == nil || !strings.Contains(err.Error(), "sign in as heartbeat_ingest") {
		t.Errorf("Pack by who owns nothing: %v, want an error that says who may", err)
	}
	if packed, err := pack(postgres.IngestRole); err != nil || packed != 1 {
		t.Errorf("%d indexes packed, %v; want the one with a reading", packed, err)
	}
}

func dashboardWorks(t *testing.T, pool *pgxpool.Pool) {
	dashboard := postgres.NewDashboard(pool)
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

func refusals(t *testing.T, pools map[postgres.Role]*pgxpool.Pool) {
	const insufficientPrivilege = "42501"
	for role, statements := range map[postgres.Role][]string{
		postgres.IngestRole: {
			`DELETE FROM dead_letters`, `UPDATE dead_letters SET reason = ''`, `DELETE FROM ingest_progress`, `TRUNCATE data_incidents`,
			`UPDATE data_incidents SET detail = ''`, `INSERT INTO schema_migrations (version, name, checksum) VALUES (99, '', '')`,
			`DROP VIEW vw_pipeline_summary`, `ALTER TABLE fleet_minute ADD x int`, `CREATE ROLE intruder`, `CREATE SCHEMA intruder`,
			`SET ROLE heartbeat_owner`,
		},
		postgres.DashboardRole: {
			`DELETE FROM heartbeat_records`, `INSERT INTO fleet_minute DEFAULT VALUES`, `CREATE TABLE intruder ()`, `CREATE TEMP TABLE intruder ()`,
			`UPDATE ingest_progress SET fence = fence + 1`, `SET ROLE heartbeat_ingest`,
		},
		postgres.GrafanaRole: {
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
			if refusal, ok := errors.AsType[*pgconn.PgError](err); !ok || refusal.Code != insufficientPrivilege {
				t.Errorf("%s: %s: %v, want it refused for lack of a right", role, statement, err)
			}
		}
		readOnly := pgtest.Value[bool](t, pools[role], `SELECT current_setting('default_transaction_read_only')::boolean`)
		if readOnly != (role != postgres.IngestRole) {
			t.Errorf("%s: sessions are read-only: %t", role, readOnly)
		}
	}
}
