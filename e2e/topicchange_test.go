package e2e_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
)

// incident is a row of data_incidents.
type incident struct {
	Kind, Log string
	Partition int32
	From, To  int64
}

func (f *fixture) incidents() []incident {
	f.t.Helper()
	var found []incident
	scan(f.t, f.pool, `SELECT kind, kafka_topic, partition, from_offset, to_offset FROM data_incidents ORDER BY incident_id`, func(rows pgx.Rows) error {
		var i incident
		err := rows.Scan(&i.Kind, &i.Log, &i.Partition, &i.From, &i.To)
		found = append(found, i)
		return err
	})
	return found
}

// A topic that is deleted and recreated under its name starts at offset 0: its events are neither taken for duplicates
// nor waited for, and the change is recorded.
func TestTopicRecreatedUnderItsName(t *testing.T) {
	t.Parallel()
	for name, running := range map[string]bool{"running": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P8")
			runRounds(t, "topic recreated under its name, consumer "+name, func(t *testing.T) *fixture {
				f := newFixture(t)
				f.produce("--max-events", "6000", "--rate", "5000", "--seed", "60").succeed(waitTimeout)
				consumer := f.consume()
				f.caughtUp(waitTimeout)
				old := readTopic(t, f.broker, f.topic, f.topic, 0)
				if !running {
					consumer.interrupt()
				}
				f.recreateTopic()
				f.ackLogs = nil
				f.produce("--max-events", "9000", "--rate", "5000", "--seed", "61").succeed(waitTimeout)
				if !running {
					consumer = f.consume()
				}
				f.auditReplacedTopic(consumer, old)
				return f.withFaults(1)
			})
		})
	}
}

// recreateTopic deletes the topic and creates it again.
func (f *fixture) recreateTopic() {
	f.t.Helper()
	admin := kadm.NewClient(client(f.t, f.broker))
	if _, err := admin.DeleteTopic(f.t.Context(), f.topic); err != nil {
		f.t.Fatalf("delete topic: %v", err)
	}
	await(f.t, waitTimeout, func() string {
		topics, err := admin.ListTopics(f.t.Context(), f.topic)
		if err != nil || topics.Has(f.topic) {
			return fmt.Sprintf("the topic is still there (%v)", err)
		}
		return ""
	})
	createTopic(f.t, f.broker, f.topic, 3)
}

// auditReplacedTopic checks that the events of both topics are stored and the change is recorded.
func (f *fixture) auditReplacedTopic(consumer *role, old topicContents) {
	t := f.t
	t.Helper()
	again := f.topic + "#2"
	await(t, waitTimeout, func() string {
		stored := value[int64](t, f.pool, `SELECT coalesce(sum(next_offset), 0)::bigint FROM ingest_progress WHERE kafka_topic = $1`, again)
		if stored < 9000 {
			return fmt.Sprintf("%d of 9000 events of the new topic are stored as %s", stored, again)
		}
		return ""
	})
	consumer.waitForOutput("data incident")
	consumer.interrupt()
	fresh := readTopic(t, f.broker, f.topic, again, 0)
	auditAckLog(t, readAckLog(t, f.ackLogs[0]), fresh, again)
	both := topicContents{records: maps.Clone(old.records), keys: maps.Clone(old.keys)}
	maps.Copy(both.records, fresh.records)
	maps.Copy(both.keys, fresh.keys)
	f.result.Lost, f.result.Doubled = auditTables(t, both, readTables(t, f.pool))
	f.result.Events = len(both.records)
	auditProgress(t, f.pool, old, f.topic)
	auditProgress(t, f.pool, fresh, again)
	auditContract(t, f.pool)
	replaced := 0
	for _, i := range f.incidents() {
		if i.Kind == "topic_replaced" {
			replaced++
		}
	}
	if replaced == 0 {
		t.Errorf("no incident records the new topic: %v", f.incidents())
	}
	f.verify()
}

// Partitions that are added are consumed from their start.
func TestPartitionsAdded(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	runRounds(t, "partitions added", func(t *testing.T) *fixture {
		f := newFixture(t)
		producer := f.produce("--rate", "2000", "--seed", "62")
		consumer := f.consume()
		f.storedMore(3_000)
		admin := kadm.NewClient(client(t, f.broker))
		if reply, err := admin.UpdatePartitions(t.Context(), 6, f.topic); err != nil || reply.Error() != nil {
			t.Fatalf("add partitions: %v, %v", err, reply.Error())
		}
		late := f.produce("--rate", "2000", "--seed", "65") // a running producer discovers new partitions within minutes, a new one at once
		await(t, waitTimeout, func() string {
			if with := value[int64](t, f.pool, `SELECT count(*) FROM ingest_progress WHERE stored > 0`); with < 6 {
				return fmt.Sprintf("readings of %d partitions are stored, want 6", with)
			}
			return ""
		})
		producer.interrupt()
		late.interrupt()
		f.caughtUp(waitTimeout)
		consumer.interrupt()
		f.audit()
		return f.withFaults(1)
	})
}

// Retention deletes records that a stopped consumer has not read: the exact gap is recorded and logged, and the rest is
// stored.
func TestRetentionPassesAStoppedConsumer(t *testing.T) {
	t.Parallel()
	proves(t, "P8")
	runRounds(t, "retention passes a stopped consumer, the exact gap on record", func(t *testing.T) *fixture {
		f := newFixture(t)
		f.produce("--max-events", "5000", "--rate", "5000", "--seed", "63").succeed(waitTimeout)
		f.drain()
		f.produce("--max-events", "5000", "--rate", "5000", "--seed", "64").succeed(waitTimeout)
		before := readTopic(t, f.broker, f.topic, f.topic, 0)
		stored := map[int32]int64{}
		cut := kadm.Offsets{}
		for partition := range before.bounds {
			stored[partition] = value[int64](t, f.pool, `SELECT next_offset FROM ingest_progress WHERE partition = $1`, partition)
			cut.AddOffset(f.topic, partition, stored[partition]+int64(100*(1+partition)), -1)
		}
		admin := kadm.NewClient(client(t, f.broker))
		if reply, err := admin.DeleteRecords(t.Context(), cut); err != nil || reply.Error() != nil {
			t.Fatalf("delete records: %v, %v", err, reply.Error())
		}
		consumer := f.consume("--until-caught-up")
		consumer.succeed(waitTimeout)
		consumer.waitForOutput("data incident")
		consumer.waitForOutput("retention_passed")

		have := f.incidents()
		if len(have) != 3 {
			t.Fatalf("%d incidents, want one for each partition: %v", len(have), have)
		}
		gone := map[recordID]bool{}
		for _, i := range have {
			want := incident{"retention_passed", f.topic, i.Partition, stored[i.Partition], stored[i.Partition] + int64(100*(1+i.Partition))}
			if i != want {
				t.Errorf("incident %+v, want %+v", i, want)
			}
			for offset := i.From; offset < i.To; offset++ {
				gone[recordID{f.topic, i.Partition, offset}] = true
			}
		}
		maps.DeleteFunc(before.records, func(id recordID, _ storedRecord) bool { return gone[id] })
		f.result.Lost, f.result.Doubled = auditTables(t, before, readTables(t, f.pool))
		if lost := value[int64](t, f.pool, `SELECT sum(lost)::bigint FROM ingest_progress`); lost != 600 {
			t.Errorf("%d offsets are accounted for as lost, want 600", lost)
		}
		auditContract(t, f.pool)
		f.verify()
		f.result.Events = len(before.records)
		return f.withFaults(1)
	})
}
