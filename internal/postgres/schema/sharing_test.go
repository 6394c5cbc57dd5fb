package schema_test

import (
	"context"
	"strings"
	"testing"

	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

// Two Heartbeats and another application share a database: roles, partitions and rows of one leave the others alone.
func TestSchemasOfOneDatabaseAreSeparate(t *testing.T) {
	t.Parallel()
	public := pgtest.Empty(t)
	pgtest.Exec(t, public, `CREATE TABLE dead_letters (id int); CREATE TABLE heartbeat_records (id int)`)
	first, second := pgtest.InSchema(t, public, "ward_a"), pgtest.InSchema(t, public, "user") // a name that SQL reserves
	wantSchemaProblem(t, schema.Check(t.Context(), first), schema.Missing)
	if _, err := schema.Migrate(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	wantSchemaProblem(t, schema.Check(t.Context(), second), schema.Missing)
	if _, err := schema.Migrate(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	const owners = `SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'v')`
	before := pgtest.Value[string](t, public, owners, "public")
	if err := schema.ApplyRoles(t.Context(), first, map[schema.Role]string{schema.IngestRole: "ingest"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"public": before, `"user"`: before, "ward_a": "heartbeat_ingest heartbeat_owner"} {
		if got := pgtest.Value[string](t, public, owners, name); got != want {
			t.Errorf("the tables of %s belong to %s, want %s", name, got, want)
		}
	}
	store := pgtest.NewStoreOn(first)
	pgtest.MustWrite(t, store, pgtest.MustClaim(t, store, pgtest.Partition, 0), pgtest.BatchOf(pgtest.Readings(0, 20)))
	if err := partition.New(first, 0).Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.WantRows(t, first, `SELECT count(*) FROM heartbeat_records`, "20")
	pgtest.WantRows(t, second, `SELECT (SELECT count(*) FROM heartbeat_records), (SELECT count(*) FROM ingest_progress)`, "0 0")
	pgtest.WantRows(t, public, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`, "2")
	if err := schema.Check(t.Context(), public); err == nil || !strings.Contains(err.Error(), "POSTGRES_SCHEMA") {
		t.Errorf("Check of public: %v, want the advice to use a schema", err)
	}
}

// Maintenance of one schema does not wait for another's.
func TestSchemasOfOneDatabaseAreMaintainedOnTheirOwn(t *testing.T) {
	t.Parallel()
	public := pgtest.Database(t)
	own := pgtest.InSchema(t, public, "ward_a")
	if _, err := schema.Migrate(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	holder, err := public.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback(context.Background())
	if _, err := holder.Exec(t.Context(), `SELECT pg_advisory_xact_lock($1)`, int64(0x6865617274_0002)); err != nil {
		t.Fatal(err)
	}
	const partitions = `SELECT count(*) FROM pg_inherits WHERE inhparent = 'heartbeat_records'::regclass`
	before := pgtest.Value[int](t, own, partitions)
	for _, pool := range []*partition.Maintainer{partition.New(public, 0), partition.New(own, 0)} {
		_ = pool.Maintain(t.Context()) // public is busy
	}
	if got := pgtest.Value[int](t, own, partitions); got <= before {
		t.Errorf("%d partitions after maintenance, %d before: the schema waits for another", got, before)
	}
	if got := pgtest.Value[int](t, public, partitions); got > before {
		t.Errorf("%d partitions in public after maintenance, %d before: the test holds no lock", got, before)
	}
}

func TestMigrateSaysHowToCreateASchema(t *testing.T) {
	t.Parallel()
	pool := pgtest.Empty(t)
	pgtest.Exec(t, pool, `CREATE ROLE schemaless LOGIN PASSWORD 'schemaless'`)
	t.Cleanup(func() { _, _ = pgtest.Admin(t).Exec(context.Background(), `DROP ROLE schemaless`) })
	visitor := pgtest.InSchema(t, pgtest.SignIn(t, pool, "schemaless", "schemaless"), "ward_a")
	if _, err := schema.Migrate(t.Context(), visitor); err == nil || !strings.Contains(err.Error(), "CREATE SCHEMA ward_a AUTHORIZATION schemaless") {
		t.Errorf("Migrate: %v, want advice on the schema", err)
	}
}
