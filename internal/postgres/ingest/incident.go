package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgwire"
)

// Record stores an incident and moves the claim past it.
func (s *Store) Record(ctx context.Context, claim pipeline.Claim, incident pipeline.Incident) (pipeline.Claim, error) {
	doing := fmt.Sprintf("record %s on %s/%d", incident.Kind, claim.Log, claim.Number)
	var step func(context.Context, *pgx.Conn, *pipeline.Claim, pipeline.Incident) error
	switch {
	case incident.Kind == pipeline.RetentionPassed && incident.From < incident.To:
		step = passLoss
	case incident.Kind == pipeline.LogTruncated && incident.To < incident.From:
		step = s.leaveTruncated
	default:
		return claim, postgres.Classify(ctx, doing, fmt.Errorf("offsets %d to %d do not fit the kind of incident", incident.From, incident.To))
	}
	moved := claim
	err := s.transact(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		if err := insertIncident(ctx, conn, claim.Log, claim.Number, incident); err != nil {
			return err
		}
		return step(ctx, conn, &moved, incident)
	})
	if err != nil {
		return claim, err
	}
	return moved, nil
}

// passLoss moves the claim past offsets that can no longer be read. The leader epoch of the last one is unknown.
func passLoss(ctx context.Context, conn *pgx.Conn, claim *pipeline.Claim, incident pipeline.Incident) error {
	err := conn.QueryRow(ctx, `
UPDATE ingest_progress
   SET next_offset  = @to,
       lost         = lost + (@to::bigint - @from::bigint),
       leader_epoch = -1,
       updated_at   = now()
 WHERE kafka_topic = @log AND partition = @partition AND fence = @fence AND next_offset = @from
RETURNING next_offset, leader_epoch, state_from`,
		pgx.NamedArgs{"log": claim.Log, "partition": claim.Number, "fence": claim.Fence, "from": incident.From, "to": incident.To}).
		Scan(&claim.Next, &claim.Epoch, &claim.StateFrom)
	return staleWithoutRow(err)
}

// leaveTruncated ends the claim's log and moves the claim to a new one, which begins at the first offset that the broker assigns again.
// Rows of the old log stay: Kafka no longer has them.
func (s *Store) leaveTruncated(ctx context.Context, conn *pgx.Conn, claim *pipeline.Claim, incident pipeline.Incident) error {
	if err := s.lockLogs(ctx, conn, claim.Topic); err != nil {
		return err
	}
	known, err := readLogs(ctx, conn, claim.Topic)
	if err != nil {
		return err
	}
	last, ok := known.last(claim.Number)
	if !ok {
		return errStaleProgress
	}
	err = conn.QueryRow(ctx, `
UPDATE ingest_progress
   SET fence      = fence + 1,
       updated_at = now()
 WHERE kafka_topic = @log AND partition = @partition AND fence = @fence AND next_offset = @from
RETURNING state_from`,
		pgx.NamedArgs{"log": claim.Log, "partition": claim.Number, "fence": claim.Fence, "from": incident.From}).
		Scan(&claim.StateFrom)
	if err := staleWithoutRow(err); err != nil {
		return err
	}
	fresh := logRow{
		topic: claim.Topic, label: label(claim.Topic, last.incarnation+1), topicID: last.topicID,
		partition: claim.Number, incarnation: last.incarnation + 1,
		next: incident.To, stateFrom: min(claim.StateFrom, incident.To), fence: claim.Fence + 1,
	}
	claim.Log, claim.Next, claim.Epoch, claim.StateFrom, claim.Fence = fresh.label, fresh.next, -1, fresh.stateFrom, fresh.fence
	return s.insertLog(ctx, conn, fresh)
}

// errStaleProgress is the error of a conditional update without a row: another writer moved the progress or raised the fence.
var errStaleProgress = &pipeline.Fault{Kind: pipeline.Stale, Err: errors.New("the stored progress is not where this claim left it")}

func staleWithoutRow(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errStaleProgress
	}
	return err
}

func insertIncident(ctx context.Context, conn *pgx.Conn, log string, partition int32, incident pipeline.Incident) error {
	_, err := conn.Exec(ctx, `
INSERT INTO data_incidents (kind, kafka_topic, partition, from_offset, to_offset, detail)
VALUES (@kind, @log, @partition, @from, @to, @detail)`,
		pgx.NamedArgs{
			"kind": string(incident.Kind), "log": log, "partition": partition,
			"from": incident.From, "to": incident.To, "detail": pgwire.CleanText(incident.Detail),
		})
	if err != nil {
		return fmt.Errorf("store incident: %w", err)
	}
	return nil
}

// RecordLag stores how many offsets of the topic are not stored yet.
func RecordLag(ctx context.Context, pool *pgxpool.Pool, lag int64) error {
	_, err := pool.Exec(ctx, `
INSERT INTO pipeline_metrics (metric_name, metric_value, metric_unit)
VALUES ('consumer_lag', $1, 'offsets')`, lag)
	if err != nil {
		return fmt.Errorf("record lag: %w", err)
	}
	return nil
}
