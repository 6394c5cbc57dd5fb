package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
)

// defaultClaimTimeout is how long a claim waits for the transaction of the previous claim. A batch takes milliseconds. A process that
// was stopped in the middle of a COPY holds its locks for ever: none of the server's timeouts applies there.
const defaultClaimTimeout = 10 * time.Second

// Claim raises the fence of the partition's current log. That waits for a batch under way and makes all later writes of earlier claims
// fail. It begins a log when there is none for the topic's id.
func (s *Store) Claim(ctx context.Context, partition pipeline.Partition, start int64) (pipeline.Claim, error) {
	doing := fmt.Sprintf("claim %s/%d", partition.Topic, partition.Number)
	claim := pipeline.Claim{Partition: partition}
	if partition.Number > math.MaxInt16 {
		return claim, postgres.Classify(ctx, doing, fmt.Errorf("partition numbers end at %d", math.MaxInt16))
	}
	err := s.transact(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		if err := s.lockLogs(ctx, conn, partition.Topic); err != nil {
			return err
		}
		known, err := readLogs(ctx, conn, partition.Topic)
		if err != nil {
			return err
		}
		current, found := known.current(partition)
		if !found {
			if current, claim.Replaced, err = s.beginLog(ctx, conn, known, partition, start); err != nil {
				return err
			}
		}
		claim.Log = current.label
		return s.raiseFence(ctx, conn, &claim, current.identity(partition))
	})
	if serverError, ok := errors.AsType[*pgconn.PgError](err); ok && serverError.Code == lockNotAvailable {
		err = errors.Join(err, s.terminateHolder(ctx, claim))
	}
	return claim, err
}

const lockNotAvailable = "55P03"

const raiseFenceSQL = `
UPDATE ingest_progress
   SET fence    = fence + 1,
       topic_id = @id,
       owner    = @owner
 WHERE kafka_topic = @log AND partition = @partition
RETURNING fence, next_offset, leader_epoch, state_from, greatest(now() - updated_at, interval '0')`

func (s *Store) raiseFence(ctx context.Context, conn *pgx.Conn, claim *pipeline.Claim, id [16]byte) error {
	row := conn.QueryRow(ctx, raiseFenceSQL, pgx.NamedArgs{
		"log": claim.Log, "partition": claim.Number, "id": id, "owner": s.owner,
	})
	if err := row.Scan(&claim.Fence, &claim.Next, &claim.Epoch, &claim.StateFrom, &claim.Idle); err != nil {
		return fmt.Errorf("raise fence: %w", err)
	}
	return nil
}

const terminateHolderSQL = `
SELECT pg_terminate_backend(holder.pid)
  FROM ingest_progress AS progress
  JOIN pg_stat_activity AS holder ON holder.backend_xid = progress.xmax
 WHERE progress.kafka_topic = @log AND progress.partition = @partition
   AND holder.xact_start < now() - @timeout::interval`

// terminateHolder ends the session that has locked the claim's progress row for longer than a claim waits. Its transaction is rolled
// back, as after a crash, and the next claim succeeds.
func (s *Store) terminateHolder(ctx context.Context, claim pipeline.Claim) error {
	return s.session(ctx, "terminate the session that holds the progress", func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, terminateHolderSQL, pgx.NamedArgs{"log": claim.Log, "partition": claim.Number, "timeout": s.claimTimeout})
		return err
	})
}

// Position returns the stored next offset. It fails with kind Fenced when a later claim exists.
func (s *Store) Position(ctx context.Context, claim pipeline.Claim) (next int64, err error) {
	doing := fmt.Sprintf("read position of %s/%d", claim.Log, claim.Number)
	err = s.session(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `
SELECT next_offset
  FROM ingest_progress
 WHERE kafka_topic = @log AND partition = @partition AND fence = @fence`,
			pgx.NamedArgs{"log": claim.Log, "partition": claim.Number, "fence": claim.Fence}).Scan(&next)
		if errors.Is(err, pgx.ErrNoRows) {
			return &pipeline.Fault{Kind: pipeline.Fenced, Err: errors.New("another consumer has claimed the partition")}
		}
		return err
	})
	return next, err
}
