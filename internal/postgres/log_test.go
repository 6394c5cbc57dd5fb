package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/pipeline"
)

func number(p pipeline.Partition, n int32) pipeline.Partition {
	p.Number = n
	return p
}

func TestRecreatedTopicGetsALogOfItsOwn(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	for n := range int32(2) {
		mustWrite(t, store, mustClaim(t, store, number(partition, n), 0), batchOf(readings(0, 10)))
	}
	recreated := partition
	recreated.TopicID = [16]byte{2}
	for n := range int32(3) { // one partition more than before
		claim := mustClaim(t, store, number(recreated, n), 0)
		if claim.Log != "heartbeat-events#2" || claim.Next != 0 {
			t.Errorf("partition %d is claimed as %s at %d, want heartbeat-events#2 at 0", n, claim.Log, claim.Next)
		}
		mustWrite(t, store, claim, batchOf(readings(0, 5)))
		if again := mustClaim(t, store, number(recreated, n), 0); again.Log != claim.Log || again.Next != 5 {
			t.Errorf("partition %d is claimed again as %s at %d, want %s at 5", n, again.Log, again.Next, claim.Log)
		}
	}
	wantRows(t, pool, `SELECT kind, kafka_topic, partition, from_offset, to_offset FROM data_incidents ORDER BY partition`,
		`topic_replaced heartbeat-events 0 10 0`, `topic_replaced heartbeat-events 1 10 0`)
	wantRows(t, pool, `SELECT kafka_topic, kafka_partition, count(*) FROM heartbeat_records GROUP BY 1, 2 ORDER BY 1, 2`,
		`heartbeat-events 0 10`, `heartbeat-events 1 10`, `heartbeat-events#2 0 5`, `heartbeat-events#2 1 5`, `heartbeat-events#2 2 5`)
	wantNothingTwice(t, pool)
}

// Brokers before Kafka 2.8 have no topic ids; after their upgrade the topic is still the same.
func TestTopicThatLearnsItsIDStaysItself(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	anonymous := partition
	anonymous.TopicID = [16]byte{}
	mustWrite(t, store, mustClaim(t, store, anonymous, 0), batchOf(readings(0, 10)))
	for _, p := range []pipeline.Partition{partition, anonymous, partition} {
		if claim := mustClaim(t, store, p, 0); claim.Log != topic || claim.Next != 10 {
			t.Errorf("claimed as %s at %d, want %s at 10", claim.Log, claim.Next, topic)
		}
	}
	wantRows(t, pool, `SELECT count(*) FROM data_incidents`, `0`)
	other := partition
	other.TopicID = [16]byte{9}
	if claim := mustClaim(t, store, other, 0); claim.Log != "heartbeat-events#2" {
		t.Errorf("another topic is claimed as %s, want heartbeat-events#2", claim.Log)
	}
}

func TestRetentionPassedMovesOverTheLoss(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	claim := mustClaim(t, store, partition, 0)
	mustWrite(t, store, claim, batchOf(readings(0, 10)))
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
	wantKind(t, err, pipeline.Stale)
	mustWrite(t, store, moved, batchOf(readings(50, 10)))
	wantRows(t, pool, `SELECT first_offset, next_offset, stored, lost FROM ingest_progress`, `0 60 20 40`)
	wantRows(t, pool, `SELECT kind, kafka_topic, partition, from_offset, to_offset, detail FROM data_incidents`,
		"retention_passed heartbeat-events 2 10 50 gone \uFFFD for good")
}

func TestTruncatedLogIsLeftForANewOne(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t)
	claim := mustClaim(t, store, partition, 0)
	mustClaim(t, store, number(partition, 0), 0)
	batch := batchOf(readings(0, 20))
	batch.StateFrom = 15
	mustWrite(t, store, claim, batch)

	moved, err := store.Record(t.Context(), claim, pipeline.Incident{Kind: pipeline.LogTruncated, From: 20, To: 12})
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.Claim{Partition: partition, Log: "heartbeat-events#2", Fence: 2, Next: 12, Epoch: -1, StateFrom: 12}
	if diff := cmp.Diff(want, moved); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	wantKind(t, store.Write(t.Context(), claim, batchOf(readings(20, 5))), pipeline.Stale)
	if _, err := store.Position(t.Context(), claim); pipeline.KindOf(err) != pipeline.Fenced {
		t.Errorf("Position of the log that was left: %v, want kind Fenced", err)
	}
	mustWrite(t, store, moved, batchOf(readings(12, 20)))
	if again := mustClaim(t, store, partition, 0); again.Log != moved.Log || again.Next != 32 || again.Fence != 3 {
		t.Errorf("claimed again as %s at %d with fence %d, want %s at 32 with 3", again.Log, again.Next, again.Fence, moved.Log)
	}
	wantNothingTwice(t, pool)
	wantRows(t, pool, `SELECT kafka_topic, count(*) FROM heartbeat_records GROUP BY 1 ORDER BY 1`, `heartbeat-events 20`, `heartbeat-events#2 20`)

	// The topic is deleted and created anew after all that: its partitions share a label that none of them had.
	recreated := partition
	recreated.TopicID = [16]byte{2}
	for n := range int32(3) {
		if claim := mustClaim(t, store, number(recreated, n), 0); claim.Log != "heartbeat-events#3" {
			t.Errorf("partition %d is claimed as %s, want heartbeat-events#3", n, claim.Log)
		}
	}
}

func TestRecordRefusesAnIncidentThatMakesNoSense(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t)
	claim := mustClaim(t, store, partition, 5)
	for _, incident := range []pipeline.Incident{
		{Kind: pipeline.RetentionPassed, From: 5, To: 5},
		{Kind: pipeline.LogTruncated, From: 5, To: 7},
		{Kind: "meteorite", From: 5, To: 7},
	} {
		_, err := store.Record(t.Context(), claim, incident)
		wantKind(t, err, pipeline.Fatal)
	}
}
