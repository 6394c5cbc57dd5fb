package partition_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

// reindexFixture is a database with partitions and the means to fill them and to rebuild their indexes.
type reindexFixture struct {
	t      *testing.T
	pool   *pgxpool.Pool
	tables *partition.Maintainer
	hour   time.Time // begins the one that goes on
	done   []partition.Reindexed
	offset int
}

func newReindexFixture(t *testing.T) *reindexFixture {
	t.Helper()
	pool := pgtest.Database(t)
	pgtest.MustMaintain(t, pool, 0)
	p := &reindexFixture{t: t, pool: pool, tables: partition.New(pool, 0)}
	now, err := p.tables.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.hour = now.UTC().Truncate(time.Hour)
	p.tables.SetReindexAbove(1 << 20)
	p.tables.OnReindexed = func(done partition.Reindexed) { p.done = append(p.done, done) }
	return p
}

// readings come in the order of time, from 100 customers in turn.
const fillSQL = `
WITH reading AS (
     SELECT format('CUST_%s', to_char(customer, 'FM00000')) AS customer, $1::timestamptz + round * interval '2 seconds' AS at,
            $2 + 100 * round + customer AS number
       FROM generate_series(0, $3 - 1) AS round, generate_series(1, 100) AS customer
      ORDER BY round, customer),
     records AS (
     INSERT INTO heartbeat_records (customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset)
     SELECT customer, 40 + number % 100, at, 'heartbeat-events', 0, number FROM reading)
INSERT INTO heartbeat_anomalies (customer_id, heart_rate, anomaly_type, event_timestamp, kafka_topic, kafka_partition, kafka_offset, raw_message)
SELECT customer, 200, 'TACHYCARDIA', at, 'heartbeat-events', 0, number, '{}' FROM reading WHERE number % 50 = 0`

// fill stores a hundred readings at each time of an hour.
func (p *reindexFixture) fill(hour time.Time, rounds int) {
	p.t.Helper()
	pgtest.Exec(p.t, p.pool, fillSQL, hour, p.offset, rounds)
	p.offset += 100 * rounds
}

func (p *reindexFixture) mustReindex() {
	p.t.Helper()
	if err := p.tables.Reindex(p.t.Context(), p.hour); err != nil {
		p.t.Fatal(err)
	}
}

// wantDone checks which indexes were rebuilt since the last call.
func (p *reindexFixture) wantDone(want ...string) {
	p.t.Helper()
	var got []string
	for _, done := range p.done {
		got = append(got, done.Index)
		if done.After == 0 || done.After > done.Before*3/4 || done.Took <= 0 {
			p.t.Errorf("%s went from %d to %d bytes in %s, want a quarter less at least", done.Index, done.Before, done.After, done.Took)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("rebuilt (-want +got):\n%s", diff)
	}
	p.done = nil
}

// indexes are all the indexes of the database, each with what changes when it is rebuilt.
func (p *reindexFixture) indexes() map[string]string {
	p.t.Helper()
	rows, err := p.pool.Query(p.t.Context(), `
SELECT index.relname::text, concat_ws(' ', index.oid, index.relfilenode, indisvalid, index.reloptions)
  FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
 WHERE relnamespace = 'public'::regnamespace`)
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, state string
		if err := rows.Scan(&name, &state); err != nil {
			p.t.Fatal(err)
		}
		all[name] = state
	}
	return all
}

func customerIndex(from time.Time) string {
	return partition.RegularName(from, from.Add(time.Hour)) + "_customer_id_event_timestamp_idx"
}

// holdUp begins a transaction that has written to a partition, which a rebuild has to wait for.
func (p *reindexFixture) holdUp(hour time.Time) (release func()) {
	p.t.Helper()
	tx, err := p.pool.Begin(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, statement := range []string{
		`SET LOCAL idle_in_transaction_session_timeout = 0`,
		`LOCK TABLE ` + partition.RegularName(hour, hour.Add(time.Hour)) + ` IN ROW EXCLUSIVE MODE`,
	} {
		if _, err := tx.Exec(p.t.Context(), statement); err != nil {
			p.t.Fatal(err)
		}
	}
	release = sync.OnceFunc(func() {
		if err := tx.Rollback(context.Background()); err != nil {
			p.t.Errorf("release: %v", err)
		}
	})
	p.t.Cleanup(release)
	return release
}
