package partition_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

var partitionedTables = []string{"heartbeat_records", "heartbeat_anomalies", "pipeline_metrics"}

func TestMaintainCreatesPartitionsAhead(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pgtest.MustMaintain(t, pool, 0)
	for _, table := range partitionedTables {
		wantUnbroken(t, pool, table)
	}
	before := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_inherits`)
	pgtest.MustMaintain(t, pool, 0)
	if after := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_inherits`); after != before {
		t.Errorf("maintaining again made %d partitions and indexes of %d", after, before)
	}
	// What is attached without its indexes would make the parent's index invalid and queries slow.
	pgtest.WantRows(t, pool, `SELECT count(*) FROM pg_index WHERE NOT indisvalid`, `0`)
	if odd := pgtest.Value[int](t, pool, `
SELECT count(*) FROM pg_class part JOIN pg_inherits ON inhrelid = part.oid
 WHERE relkind = 'r'
   AND (SELECT count(*) FROM pg_index WHERE indrelid = inhrelid) <> (SELECT count(*) FROM pg_index WHERE indrelid = inhparent)`); odd != 0 {
		t.Errorf("%d partitions have not the indexes of their table", odd)
	}
}

func TestReadingsGoToTheirHour(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.MustMaintain(t, pool, 0)
	now := pgtest.Value[time.Time](t, pool, `SELECT now()`).Truncate(time.Hour)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{
		pgtest.Reading(0, 1, 75, now), pgtest.Reading(1, 1, 75, now.Add(time.Hour)), pgtest.Reading(2, 1, 75, pgtest.Noon), pgtest.Reading(3, 1, 75, now.AddDate(70, 0, 0)),
	}))
	name := func(at time.Time) string { return "heartbeat_records_p" + at.UTC().Format("2006010215") }
	pgtest.WantRows(t, pool, `SELECT tableoid::regclass::text FROM heartbeat_records ORDER BY kafka_offset`,
		name(now), name(now.Add(time.Hour)), "heartbeat_records_history", "heartbeat_records_future")

	before := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_inherits`)
	pgtest.MustMaintain(t, pool, 0)
	if after := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_inherits`); after != before {
		t.Errorf("a reading of a stray clock made %d partitions and indexes of %d", after, before)
	}
}

// Without maintenance rows went to the default partition and are moved, with their ids, to where they belong.
func TestMaintainMovesRowsOutOfTheDefaultPartition(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	now := pgtest.Value[time.Time](t, pool, `SELECT now()`)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{
		pgtest.Reading(0, 1, 75, now), pgtest.Reading(1, 1, 30, now), pgtest.Reading(2, 1, 75, now.Add(-3*time.Hour)), pgtest.Reading(3, 1, 75, now.Add(time.Hour)),
		pgtest.Reading(4, 1, 75, now.AddDate(70, 0, 0)),
	}))
	const records = `SELECT record_id, event_timestamp, ingestion_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic FROM heartbeat_records ORDER BY 1`
	pgtest.Exec(t, pool, `CREATE TABLE before AS `+records)
	pgtest.WantRows(t, pool, `SELECT DISTINCT tableoid::regclass::text FROM heartbeat_records`, "heartbeat_records_future")

	pgtest.MustMaintain(t, pool, 0)
	pgtest.WantRows(t, pool, `SELECT kafka_offset FROM heartbeat_records_future`, `4`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_anomalies_future`, `0`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM (TABLE before EXCEPT (`+records+`)) AS lost`, `0`)
}

func TestProcessesMaintainAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := partition.New(pool, 0).Maintain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	pgtest.MustMaintain(t, pool, 0) // for who gave way may have done so for good
	for _, table := range partitionedTables {
		wantUnbroken(t, pool, table)
	}
}

func TestMaintainGivesUpALockAndTriesAgain(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	reader, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), `SELECT FROM heartbeat_records`); err != nil {
		t.Fatal(err)
	}
	if err := partition.New(pool, 0).Maintain(t.Context()); err == nil {
		t.Error("Maintain got a lock that a reader holds")
	}
	wantUnbroken(t, pool, "heartbeat_anomalies") // which had no reader
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{pgtest.Reading(0, 1, 75, time.Now())}))

	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	pgtest.MustMaintain(t, pool, 0)
	wantUnbroken(t, pool, "heartbeat_records")
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records_future`, `0`)
}

// wantUnbroken holds the partitions of a table against what they should be: history, then one after the other without a
// gap, up to hours from now, and a default one.
func wantUnbroken(t testing.TB, pool *pgxpool.Pool, table string) {
	t.Helper()
	bounds := pgtest.Value[[]string](t, pool, `
SELECT array_agg(pg_get_expr(relpartbound, oid) ORDER BY relname !~ 'history', relname ~ 'future', relname)
  FROM pg_class JOIN pg_inherits ON inhrelid = oid
 WHERE inhparent = $1::regclass`, table)
	end := ""
	for i, bound := range bounds {
		from, to, _ := strings.Cut(strings.TrimPrefix(bound, "FOR VALUES FROM "), " TO ")
		switch i {
		case 0:
			if from != "(MINVALUE)" {
				t.Errorf("%s begins with %s, want history", table, bound)
			}
		case len(bounds) - 1:
			if bound != "DEFAULT" {
				t.Errorf("%s ends with %s, want the default partition", table, bound)
			}
			continue
		default:
			if from != end {
				t.Errorf("%s has a gap from %s to %s", table, end, from)
			}
		}
		end = to
	}
	last, err := time.Parse("('2006-01-02 15:04:05+00')", end)
	if until := pgtest.Value[time.Time](t, pool, `SELECT now() + interval '3 hours'`); err != nil || last.Before(until) {
		t.Errorf("%s reaches to %s, want at least %s (%v)", table, end, until, err)
	}
	if len(bounds) < 3 {
		t.Errorf("%s has only %s", table, fmt.Sprint(bounds))
	}
}
