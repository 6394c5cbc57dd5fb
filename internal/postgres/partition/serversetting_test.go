package partition_test

import (
	"sync"
	"testing"
	"time"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

// A publication of all tables refuses DELETE and UPDATE on tables without a replica identity.
func TestPublicationOfAllTablesStopsNothing(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.Exec(t, pool, `CREATE PUBLICATION everything FOR ALL TABLES`)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	now := time.Now()
	for i := range int64(2) { // the second batch updates the rollups and the customer's state
		batch := pgtest.BatchOf([]pipeline.Reading{pgtest.Reading(i, 7, 75, now)})
		batch.Customers = []pipeline.CustomerState{{Reading: batch.Readings[0].Reading, Offset: i}}
		pgtest.MustWrite(t, store, claim, batch)
	}
	pgtest.MustMaintain(t, pool, 0) // moves both out of the default partition
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records`, `2`)
	pgtest.WantRows(t, pool, `SELECT count(*) FROM heartbeat_records_future`, `0`)
	pgtest.MustMaintain(t, pool, time.Nanosecond)
}

func TestMaintainersAtOnceUnderRepeatableRead(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pgtest.Exec(t, pool, `DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''repeatable read''', current_database());
    EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database());
    EXECUTE format('ALTER DATABASE %I SET bytea_output = escape', current_database());
END $$`)
	pool.Reset()
	if got := pgtest.Value[string](t, pool, `SELECT current_setting('transaction_isolation') || ' ' || current_setting('standard_conforming_strings')`); got != "read committed on" {
		t.Errorf("a session works with %s", got)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := partition.New(pool, 0).Maintain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
