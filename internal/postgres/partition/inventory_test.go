package partition_test

import (
	"testing"
	"time"

	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

func TestInventoryTellsWhatLiesWhereAndWhenItGoes(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	const retention = 36 * time.Hour
	tables := partition.New(pool, retention)
	if err := tables.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	recent, old := pgtest.Readings(0, 500), pgtest.Readings(500, 3)
	for i := range recent {
		recent[i].Time = now
	}
	for i := range old {
		old[i].Time = now.AddDate(-1, 0, 0)
	}
	pgtest.MustWrite(t, store, pgtest.MustClaim(t, store, pgtest.Partition, 0), pgtest.BatchOf(append(recent, old...)))
	pgtest.Exec(t, pool, `ANALYZE`)

	parts, err := tables.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows int64
	seen := map[string]bool{}
	for _, part := range parts {
		seen[part.Table] = true
		if part.Table == "heartbeat_records" {
			rows += part.Rows
			checkRecordPart(t, part, now)
		}
		switch {
		case part.To == nil && part.DropAt != nil:
			t.Errorf("%s is without end and dropped at %v", part.Name, part.DropAt)
		case part.To != nil && (part.DropAt == nil || !part.DropAt.Equal(part.To.Add(retention))):
			t.Errorf("%s ends at %v and is dropped at %v, want %v later", part.Name, part.To, part.DropAt, retention)
		}
	}
	for _, table := range partitionedTables {
		if !seen[table] {
			t.Errorf("no partition of %s", table)
		}
	}
	if want := int64(pgtest.Value[int](t, pool, `SELECT count(*) FROM heartbeat_records`)); rows != want {
		t.Errorf("%d records in all partitions, want %d", rows, want)
	}
}

// checkRecordPart wants rows where the readings are and nowhere else.
func checkRecordPart(t *testing.T, part partition.Info, now time.Time) {
	t.Helper()
	past := part.To != nil && part.To.Before(now)
	history := part.From == nil && part.To != nil
	current := part.From != nil && !part.From.After(now) && !past
	if (part.Rows > 0) != (history || current) {
		t.Errorf("%s from %v to %v has %d rows", part.Name, part.From, part.To, part.Rows)
	}
	if current && (part.TableBytes == 0 || part.IndexBytes == 0) {
		t.Errorf("%s has %d bytes and %d of indexes, want some", part.Name, part.TableBytes, part.IndexBytes)
	}
	if (part.Age > 0) != past {
		t.Errorf("%s ends at %v and has an age of %v", part.Name, part.To, time.Duration(part.Age))
	}
}

func TestInventoryWithoutRetentionDropsNothing(t *testing.T) {
	t.Parallel()
	_, pool := pgtest.NewStore(t)
	parts, err := partition.New(pool, 0).Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if part.DropAt != nil {
			t.Errorf("%s is dropped at %v, want never", part.Name, part.DropAt)
		}
	}
}
