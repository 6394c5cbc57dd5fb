package ingest_test

import (
	"testing"

	"heartbeat/internal/postgres/pgtest"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/pipeline"
)

func number(p pipeline.Partition, n int32) pipeline.Partition {
	p.Number = n
	return p
}

func TestRecreatedTopicGetsALogOfItsOwn(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	for n := range int32(2) {
		pgtest.MustWrite(t, store, pgtest.MustClaim(t, store, number(pgtest.Partition, n), 0), pgtest.BatchOf(pgtest.Readings(0, 10)))
	}
	recreated := pgtest.Partition
	recreated.TopicID = [16]byte{2}
	for n := range int32(3) { // one partition more than before
		claim := pgtest.MustClaim(t, store, number(recreated, n), 0)
		if claim.Log != "heartbeat-events#2" || claim.Next != 0 {
			t.Errorf("partition %d is claimed as %s at %d, want heartbeat-events#2 at 0", n, claim.Log, claim.Next)
		}
		pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 5)))
		if again := pgtest.MustClaim(t, store, number(recreated, n), 0); again.Log != claim.Log || again.Next != 5 {
			t.Errorf("partition %d is claimed again as %s at %d, want %s at 5", n, again.Log, again.Next, claim.Log)
		}
	}
	pgtest.WantRows(t, pool, `SELECT kind, kafka_topic, partition, from_offset, to_offset FROM data_incidents ORDER BY partition`,
		`topic_replaced heartbeat-events 0 10 0`, `topic_replaced heartbeat-events 1 10 0`)
	pgtest.WantRows(t, pool, `SELECT kafka_topic, kafka_partition, count(*) FROM heartbeat_records GROUP BY 1, 2 ORDER BY 1, 2`,
		`heartbeat-events 0 10`, `heartbeat-events 1 10`, `heartbeat-events#2 0 5`, `heartbeat-events#2 1 5`, `heartbeat-events#2 2 5`)
	pgtest.WantNothingTwice(t, pool)
}

// Brokers before Kafka 2.8 have no topic ids; after their upgrade the topic is still the same.
func TestTopicThatLearnsItsIDStaysItself(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	anonymous := pgtest.Partition
	anonymous.TopicID = [16]byte{}
	pgtest.MustWrite(t, store, pgtest.MustClaim(t, store, anonymous, 0), pgtest.BatchOf(pgtest.Readings(0, 10)))
	for _, p := range []pipeline.Partition{pgtest.Partition, anonymous, pgtest.Partition} {
		if claim := pgtest.MustClaim(t, store, p, 0); claim.Log != topic || claim.Next != 10 {
			t.Errorf("claimed as %s at %d, want %s at 10", claim.Log, claim.Next, topic)
		}
	}
	pgtest.WantRows(t, pool, `SELECT count(*) FROM data_incidents`, `0`)
	other := pgtest.Partition
	other.TopicID = [16]byte{9}
	if claim := pgtest.MustClaim(t, store, other, 0); claim.Log != "heartbeat-events#2" {
		t.Errorf("another topic is claimed as %s, want heartbeat-events#2", claim.Log)
	}
}

func TestRetentionPassedMovesOverTheLoss(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustWrite(t, store, claim, pgtest.BatchOf(pgtest.Readings(0, 10)))
	claim.Next, claim.Epoch = 10, 3
	incident := pipeline.Incident{Kind: pipeline.RetentionPassed, From: 10, To: 50, Detail: "gone \x00 for good"}

	moved, err := store.Record(t.Context(), claim, incident)
	if err != nil {
		t.Fatal(err)
	}
	want := claim
	want.Next, want.Epoch = 50, -1
	if diff := cmp.Diff(want, moved); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	_, err = store.Record(t.Context(), claim, incident)
	pgtest.WantKind(t, err, pipeline.Stale)
	pgtest.MustWrite(t, store, moved, pgtest.BatchOf(pgtest.Readings(50, 10)))
	pgtest.WantRows(t, pool, `SELECT first_offset, next_offset, stored, lost FROM ingest_progress`, `0 60 20 40`)
	pgtest.WantRows(t, pool, `SELECT kind, kafka_topic, partition, from_offset, to_offset, detail FROM data_incidents`,
		"retention_passed heartbeat-events 2 10 50 gone \uFFFD for good")
}

func TestTruncatedLogIsLeftForANewOne(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	pgtest.MustClaim(t, store, number(pgtest.Partition, 0), 0)
	batch := pgtest.BatchOf(pgtest.Readings(0, 20))
	batch.StateFrom = 15
	pgtest.MustWrite(t, store, claim, batch)

	moved, err := store.Record(t.Context(), claim, pipeline.Incident{Kind: pipeline.LogTruncated, From: 20, To: 12})
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.Claim{Partition: pgtest.Partition, Log: "heartbeat-events#2", Fence: 2, Next: 12, Epoch: -1, StateFrom: 12}
	if diff := cmp.Diff(want, moved); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	pgtest.WantKind(t, store.Write(t.Context(), claim, pgtest.BatchOf(pgtest.Readings(20, 5))), pipeline.Stale)
	if _, err := store.Position(t.Context(), claim); pipeline.KindOf(err) != pipeline.Fenced {
		t.Errorf("Position of the log that was left: %v, want kind Fenced", err)
	}
	pgtest.MustWrite(t, store, moved, pgtest.BatchOf(pgtest.Readings(12, 20)))
	if again := pgtest.MustClaim(t, store, pgtest.Partition, 0); again.Log != moved.Log || again.Next != 32 || again.Fence != 3 {
		t.Errorf("claimed again as %s at %d with fence %d, want %s at 32 with 3", again.Log, again.Next, again.Fence, moved.Log)
	}
	pgtest.WantNothingTwice(t, pool)
	pgtest.WantRows(t, pool, `SELECT kafka_topic, count(*) FROM heartbeat_records GROUP BY 1 ORDER BY 1`, `heartbeat-events 20`, `heartbeat-events#2 20`)

	// The topic is deleted and created again after all that: its partitions share a label that none of them had.
	recreated := pgtest.Partition
	recreated.TopicID = [16]byte{2}
	for n := range int32(3) {
		if claim := pgtest.MustClaim(t, store, number(recreated, n), 0); claim.Log != "heartbeat-events#3" {
			t.Errorf("partition %d is claimed as %s, want heartbeat-events#3", n, claim.Log)
		}
	}
}

func TestRecordRefusesAnIncidentThatMakesNoSense(t *testing.T) {
	t.Parallel()
	store, _ := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 5)
	for _, incident := range []pipeline.Incident{
		{Kind: pipeline.RetentionPassed, From: 5, To: 5},
		{Kind: pipeline.LogTruncated, From: 5, To: 7},
		{Kind: "meteorite", From: 5, To: 7},
	} {
		_, err := store.Record(t.Context(), claim, incident)
		pgtest.WantKind(t, err, pipeline.Fatal)
	}
}
