package partition_test

import (
	"strings"
	"testing"
	"time"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

func TestOnlyTheIngestRoleReindexes(t *testing.T) {
	t.Parallel()
	owner := pgtest.Database(t)
	passwords := map[schema.Role]string{schema.IngestRole: "ingest", schema.DashboardRole: "dashboard"}
	if err := schema.ApplyRoles(t.Context(), owner, passwords); err != nil {
		t.Fatal(err)
	}
	ingest := pgtest.SignIn(t, owner, string(schema.IngestRole), "ingest")
	now := time.Now()
	if err := partition.New(ingest, 0).Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := pgtest.NewStoreOn(ingest)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf([]pipeline.Reading{pgtest.Reading(0, 7, 75, now)}))
	reindex := func(maintainer *partition.Maintainer) (rebuilt int, err error) {
		maintainer.SetReindexAbove(0)
		maintainer.OnReindexed = func(partition.Reindexed) { rebuilt++ }
		err = maintainer.Reindex(t.Context(), now.Add(2*time.Hour))
		return rebuilt, err
	}
	dashboard := pgtest.SignIn(t, owner, string(schema.DashboardRole), "dashboard")
	if _, err := reindex(partition.New(dashboard, 0)); err == nil || !strings.Contains(err.Error(), "sign in as heartbeat_ingest") {
		t.Errorf("reindexing as a role that owns nothing: %v, want an error that says which role may", err)
	}
	if rebuilt, err := reindex(partition.New(ingest, 0)); err != nil || rebuilt == 0 {
		t.Errorf("%d indexes rebuilt, %v; want the one with a reading", rebuilt, err)
	}
}
