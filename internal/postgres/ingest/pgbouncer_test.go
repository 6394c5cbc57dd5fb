package ingest_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/testkit/pgbouncer"
)

// startPgBouncer returns a pool whose sessions go through PgBouncer to the database of another pool.
func startPgBouncer(t *testing.T, pool *pgxpool.Pool, mode string) *pgxpool.Pool {
	t.Helper()
	pooled, err := postgres.Open(t.Context(), postgres.Options{URL: pgbouncer.Start(t, pgtest.URL(pool), mode), Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pooled.Close)
	return pooled
}

// PgBouncer refuses start-up parameters that it does not know, and hands a session on to the next client.
func TestPgBouncerInSessionModeWorks(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pooled := startPgBouncer(t, pool, "session")
	if err := postgres.Ping(t.Context(), pooled); err != nil {
		t.Fatal(err)
	}
	store := ingest.NewStore(pooled, "test")
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
	pooled.Reset() // the next session meets the statements of the one before, or none
	claim = pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(10, 10)))
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records`, `20`)

	ward := pgtest.InSchema(t, pooled, "ward_a")
	if _, err := schema.Migrate(t.Context(), ward); err != nil {
		t.Fatal(err)
	}
	inWard := pgtest.NewStoreOn(ward)
	pgtest.MustWrite(t, inWard, pgtest.MustClaim(t, inWard, pgtest.Partition, 0), pgtest.BatchOf(pgtest.Readings(0, 30)))
	for range 2 { // both take over the other's server sessions
		pgtest.WantRows(t, ward, `SELECT count(*) FROM heartbeat_records`, `30`)
		ward.Reset()
		pgtest.WantRows(t, pooled, `SELECT count(*) FROM heartbeat_records`, `20`)
		pooled.Reset()
	}
}

func TestPgBouncerInTransactionModeIsRefused(t *testing.T) {
	t.Parallel()
	pooled := startPgBouncer(t, pgtest.Database(t), "transaction")
	if err := postgres.Ping(t.Context(), pooled); err == nil || postgres.Unavailable(err) || !strings.Contains(err.Error(), "set pool_mode = session") {
		t.Errorf("Ping: %v, want that the pooler's mode must change", err)
	}
}
