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

func (r *rig) incidents() []incident {
	r.t.Helper()
	var found []incident
	scan(r.t, r.pool, `SELECT kind, kafka_topic, partition, from_offset, to_offset FROM data_incidents ORDER BY incident_id`, func(rows pgx.Rows) error {
		var i incident
		err := rows.Scan(&i.Kind, &i.Log, &i.Partition, &i.From, &i.To)
		found = append(found, i)
		return err
	})
	return found
}

// A topic that is deleted and created anew under its name starts over at offset 0: its events are neither taken for
// those stored before nor waited for, and the change is on record.
func TestTopicRecreatedUnderItsName(t *testing.T) {
	t.Parallel()
	for name, running := range map[string]bool{"running": true, "stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proves(t, "P1, P8")
			repeat(t, "topic recreated under its name, consumer "+name, func(t *testing.T) *rig {
				r := newRig(t)
				r.produce("--max-events", "6000", "--rate", "5000", "--seed", "60").succeed(patience)
				consumer := r.consume()
				r.caughtUp(patience)
				old := readTopic(t, r.broker, r.topic, r.topic, 0)
				if !running {
					consumer.interrupt()
				}
				r.recreateTopic()
				r.ledgers = nil
				r.produce("--max-events", "9000", "--rate", "5000", "--seed", "61").succeed(patience)
				if !running {
					consumer = r.consume()
				}
				r.auditReplaced(consumer, old)
				return r.saw(1)
			})
		})
	}
}

// recreateTopic deletes the topic and creates it anew.
func (r *rig) recreateTopic() {
	r.t.Helper()
	admin := kadm.NewClient(client(r.t, r.broker))
	if _, err := admin.DeleteTopic(r.t.Context(), r.topic); err != nil {
		r.t.Fatalf("delete topic: %v", err)
	}
	await(r.t, patience, func() string {
		topics, err := admin.ListTopics(r.t.Context(), r.topic)
		if err != nil || topics.Has(r.topic) {
			return fmt.Sprintf("the topic is still there (%v)", err)
		}
		return ""
	})
	createTopic(r.t, r.broker, r.topic, 3)
}

// auditReplaced wants the events of both topics stored, and the change on record.
func (r *rig) auditReplaced(consumer *role, old contents) {
	t := r.t
	t.Helper()
	again := r.topic + "#2"
	await(t, patience, func() string {
		stored := value[int64](t, r.pool, `SELECT coalesce(sum(next_offset), 0)::bigint FROM ingest_progress WHERE kafka_topic = $1`, again)
		if stored < 9000 {
			return fmt.Sprintf("%d of 9000 events of the new topic are stored as %s", stored, again)
		}
		return ""
	})
	consumer.says("data incident")
	consumer.interrupt()
	fresh := readTopic(t, r.broker, r.topic, again, 0)
	auditLedger(t, readLedger(t, r.ledgers[0]), fresh, again)
	both := contents{facts: maps.Clone(old.facts), keys: maps.Clone(old.keys)}
	maps.Copy(both.facts, fresh.facts)
	maps.Copy(both.keys, fresh.keys)
	r.tally.lost, r.tally.doubled = auditTables(t, both, readTables(t, r.pool))
	r.tally.events = len(both.facts)
	auditProgress(t, r.pool, old, r.topic)
	auditProgress(t, r.pool, fresh, again)
	auditContract(t, r.pool)
	replaced := 0
	for _, i := range r.incidents() {
		if i.Kind == "topic_replaced" {
			replaced++
		}
	}
	if replaced == 0 {
		t.Errorf("no incident tells of the new topic: %v", r.incidents())
	}
	r.verify()
}

// Partitions that are added are consumed from their start.
func TestPartitionsAdded(t *testing.T) {
	t.Parallel()
	proves(t, "P1")
	repeat(t, "partitions added", func(t *testing.T) *rig {
		r := newRig(t)
		producer := r.produce("--rate", "2000", "--seed", "62")
		consumer := r.consume()
		r.storedMore(3_000)
		admin := kadm.NewClient(client(t, r.broker))
		if answer, err := admin.UpdatePartitions(t.Context(), 6, r.topic); err != nil || answer.Error() != nil {
			t.Fatalf("add partitions: %v, %v", err, answer.Error())
		}
		late := r.produce("--rate", "2000", "--seed", "65") // a producer learns of new partitions within minutes, a new one at once
		await(t, patience, func() string {
			if with := value[int64](t, r.pool, `SELECT count(*) FROM ingest_progress WHERE stored > 0`); with < 6 {
				return fmt.Sprintf("readings of %d partitions are stored, want 6", with)
			}
			return ""
		})
		producer.interrupt()
		late.interrupt()
		r.caughtUp(patience)
		consumer.interrupt()
		r.audit()
		return r.saw(1)
	})
}

// Retention that passes a stopped consumer takes what nobody has read: the exact gap is on record, loudly, and the rest is
// stored.
func TestRetentionPassesAStoppedConsumer(t *testing.T) {
	t.Parallel()
	proves(t, "P8")
	repeat(t, "retention passes a stopped consumer, the exact gap on record", func(t *testing.T) *rig {
		r := newRig(t)
		r.produce("--max-events", "5000", "--rate", "5000", "--seed", "63").succeed(patience)
		r.drain()
		r.produce("--max-events", "5000", "--rate", "5000", "--seed", "64").succeed(patience)
		before := readTopic(t, r.broker, r.topic, r.topic, 0)
		stored := map[int32]int64{}
		cut := kadm.Offsets{}
		for partition := range before.bounds {
			stored[partition] = value[int64](t, r.pool, `SELECT next_offset FROM ingest_progress WHERE partition = $1`, partition)
			cut.AddOffset(r.topic, partition, stored[partition]+int64(100*(1+partition)), -1)
		}
		admin := kadm.NewClient(client(t, r.broker))
		if answer, err := admin.DeleteRecords(t.Context(), cut); err != nil || answer.Error() != nil {
			t.Fatalf("delete records: %v, %v", err, answer.Error())
		}
		consumer := r.consume("--until-caught-up")
		consumer.succeed(patience)
		consumer.says("data incident")
		consumer.says("retention_passed")

		have := r.incidents()
		if len(have) != 3 {
			t.Fatalf("%d incidents, want one for each partition: %v", len(have), have)
		}
		gone := map[place]bool{}
		for _, i := range have {
			want := incident{"retention_passed", r.topic, i.Partition, stored[i.Partition], stored[i.Partition] + int64(100*(1+i.Partition))}
			if i != want {
				t.Errorf("incident %+v, want %+v", i, want)
			}
			for offset := i.From; offset < i.To; offset++ {
				gone[place{r.topic, i.Partition, offset}] = true
			}
		}
		maps.DeleteFunc(before.facts, func(at place, _ fact) bool { return gone[at] })
		r.tally.lost, r.tally.doubled = auditTables(t, before, readTables(t, r.pool))
		if lost := value[int64](t, r.pool, `SELECT sum(lost)::bigint FROM ingest_progress`); lost != 600 {
			t.Errorf("%d offsets are accounted for as lost, want 600", lost)
		}
		auditContract(t, r.pool)
		r.verify()
		r.tally.events = len(before.facts)
		return r.saw(1)
	})
}
