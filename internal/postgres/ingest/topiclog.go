package ingest

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/pipeline"
)

// logRow is a log: a sequence of offsets of one partition in which no offset occurs twice. The first log of a topic name is labelled
// with that name. A recreated topic or a truncated log assigns offsets again: its log is labelled name#2 and so on, which is no valid
// topic name.
type logRow struct {
	topic       string
	label       string
	topicID     [16]byte
	partition   int32
	incarnation int
	next        int64
	stateFrom   int64 // of a new one: the first offset that customer states do not cover
	fence       int64 // of a new one
}

// logRows are all logs of one topic name, all partitions, oldest incarnation first.
type logRows []logRow

func label(topic string, incarnation int) string {
	if incarnation == 1 {
		return topic
	}
	return topic + "#" + strconv.Itoa(incarnation)
}

// anonymous is the topic id of brokers before Kafka 2.8, which have none. Then the name decides.
var anonymous [16]byte

// same tells whether a log belongs to the topic with an id.
func (l *logRow) same(id [16]byte) bool {
	return l.topicID == id || l.topicID == anonymous || id == anonymous
}

// identity returns the topic's id as far as it is known: a log begun under an old broker learns it from a newer one.
func (l *logRow) identity(partition pipeline.Partition) [16]byte {
	if partition.TopicID == anonymous {
		return l.topicID
	}
	return partition.TopicID
}

// current returns the log that the partition's records belong to now.
func (l logRows) current(partition pipeline.Partition) (logRow, bool) {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].partition == partition.Number && l[i].same(partition.TopicID) {
			return l[i], true
		}
	}
	return logRow{}, false
}

// last returns the partition's newest log, whatever topic it belongs to.
func (l logRows) last(partition int32) (logRow, bool) {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].partition == partition {
			return l[i], true
		}
	}
	return logRow{}, false
}

// incarnation chooses the number of a new log: the one of the topic's other partitions if it is free, so that they share a label.
func (l logRows) incarnation(partition pipeline.Partition) int {
	last, shared, taken := 0, 0, false
	for i := range l {
		last = max(last, l[i].incarnation)
		if shared == 0 && l[i].same(partition.TopicID) {
			shared = l[i].incarnation
		}
	}
	for i := range l {
		taken = taken || l[i].partition == partition.Number && l[i].incarnation == shared
	}
	if shared == 0 || taken {
		return last + 1
	}
	return shared
}

// lockLogs lets one transaction at a time choose among the logs of a topic, and bounds how long it waits.
func (s *Store) lockLogs(ctx context.Context, conn *pgx.Conn, topic string) error {
	if _, err := conn.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, s.claimTimeout.Milliseconds())); err != nil {
		return fmt.Errorf("set lock timeout: %w", err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('heartbeat logs of ' || $1::text, 0))`, topic); err != nil {
		return fmt.Errorf("lock logs of topic: %w", err)
	}
	return nil
}

func readLogs(ctx context.Context, conn *pgx.Conn, topic string) (logRows, error) {
	rows, err := conn.Query(ctx, `
SELECT kafka_topic, topic_id, partition, incarnation, next_offset
  FROM ingest_progress
 WHERE topic_name = $1
 ORDER BY incarnation, partition`, topic)
	if err != nil {
		return nil, fmt.Errorf("read logs of topic: %w", err)
	}
	logs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l logRow, err error) {
		return l, row.Scan(&l.label, &l.topicID, &l.partition, &l.incarnation, &l.next)
	})
	if err != nil {
		return nil, fmt.Errorf("read logs of topic: %w", err)
	}
	return logs, nil
}

// beginLog stores a new log for the partition, and an incident if it replaces the log of another topic.
func (s *Store) beginLog(ctx context.Context, conn *pgx.Conn, known logRows, partition pipeline.Partition, start int64) (logRow, *pipeline.Incident, error) {
	incarnation := known.incarnation(partition)
	fresh := logRow{
		topic: partition.Topic, label: label(partition.Topic, incarnation), topicID: partition.TopicID,
		partition: partition.Number, incarnation: incarnation, next: start, stateFrom: start,
	}
	if err := s.insertLog(ctx, conn, fresh); err != nil {
		return fresh, nil, err
	}
	gone, ok := known.last(partition.Number)
	if !ok {
		return fresh, nil, nil
	}
	incident := pipeline.Incident{
		Kind: pipeline.TopicReplaced, From: gone.next, To: start,
		Detail: fmt.Sprintf("topic %s was deleted and created again: records of its log %s from offset %d on were never read; the new log is %s",
			partition.Topic, gone.label, gone.next, fresh.label),
	}
	return fresh, &incident, insertIncident(ctx, conn, gone.label, partition.Number, incident)
}

func (s *Store) insertLog(ctx context.Context, conn *pgx.Conn, l logRow) error {
	_, err := conn.Exec(ctx, `
INSERT INTO ingest_progress (kafka_topic, partition, topic_id, topic_name, incarnation,
                             first_offset, next_offset, state_from, fence, owner)
VALUES (@label, @partition, @id, @topic, @incarnation, @next, @next, @state_from, @fence, @owner)`,
		pgx.NamedArgs{
			"label": l.label, "partition": l.partition, "id": l.topicID, "topic": l.topic, "incarnation": l.incarnation,
			"next": l.next, "state_from": l.stateFrom, "fence": l.fence, "owner": s.owner,
		})
	if err != nil {
		return fmt.Errorf("begin log %s: %w", l.label, err)
	}
	return nil
}
