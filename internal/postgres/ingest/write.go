package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/crashpoint"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgwire"
)

// Write stores the batch in one transaction, which goes to the server in one write: BEGIN, move the progress, COPY the rows, update
// the rollups, COMMIT.
func (s *Store) Write(ctx context.Context, claim pipeline.Claim, batch *pipeline.Batch) error {
	doing := fmt.Sprintf("write offsets %d to %d of %s/%d", batch.From, batch.To, claim.Log, claim.Number)
	if err := checkOffsets(batch); err != nil {
		return postgres.Classify(ctx, doing, err)
	}
	encoded := s.batches.Get().(*encodedBatch)
	encoded.encode(claim.Log, claim.Number, batch)
	err := s.session(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		encoded.statements.Reset(conn)
		return write(ctx, &encoded.statements, claim, batch, encoded)
	})
	if err != nil {
		return err // without reusing the buffers: an interrupted send may still read them
	}
	encoded.trim()
	s.batches.Put(encoded)
	return nil
}

// checkOffsets refuses a batch that does not account for each of its offsets. The database would refuse it with a constraint
// violation, which looks like bad data.
func checkOffsets(batch *pipeline.Batch) error {
	accounted := int64(len(batch.Readings)) + int64(len(batch.DeadLetters)) + batch.Skipped
	if accounted != batch.To-batch.From {
		return fmt.Errorf("account for offsets: the batch spans %d and holds %d", batch.To-batch.From, accounted)
	}
	return nil
}

// A mismatch raises division_by_zero: a pipelined transaction cannot check row counts on the client.
const moveProgressSQL = `
WITH moved AS (
    UPDATE ingest_progress
       SET next_offset   = $5,
           leader_epoch  = $6,
           state_from    = $7,
           stored        = stored + $8,
           anomalies     = anomalies + $9,
           dead_lettered = dead_lettered + $10,
           skipped       = skipped + $11,
           updated_at    = now()
     WHERE kafka_topic = $1 AND partition = $2 AND fence = $3 AND next_offset = $4
    RETURNING next_offset)
SELECT 1 / count(*) FROM moved`

const (
	moveProgress   = "move_progress"
	divisionByZero = "22012"
)

// write stores a batch. It moves the progress first: that locks the progress row, so that a claim waits for this transaction.
func write(ctx context.Context, p *pgwire.Pipeline, claim pipeline.Claim, batch *pipeline.Batch, encoded *encodedBatch) error {
	p.Execute(ctx, "begin", `BEGIN`)
	p.Execute(ctx, moveProgress, moveProgressSQL,
		encoded.log, pgwire.Int4(claim.Number), pgwire.Int8(claim.Fence), pgwire.Int8(batch.From),
		pgwire.Int8(batch.To), pgwire.Int4(batch.Epoch), pgwire.Int8(batch.StateFrom),
		pgwire.Int8(int64(len(encoded.normal))), pgwire.Int8(int64(len(encoded.abnormal))),
		pgwire.Int8(int64(len(batch.DeadLetters))), pgwire.Int8(batch.Skipped))
	encoded.addCopies(ctx, p)
	p.Reach(crashpoint.AfterInsert)
	encoded.addRollups(ctx, p)
	if err := alarmstore.AddTransitions(ctx, p, claim.Log, claim.Number, batch.Transitions); err != nil {
		return err
	}
	p.Reach(crashpoint.BeforeCommit)
	err := p.Commit(ctx, crashpoint.CommitSent)
	if err == nil {
		crashpoint.Reach(crashpoint.AfterCommit)
	}
	if failed, ok := errors.AsType[*pgwire.StatementError](err); ok && failed.Statement == moveProgress && failed.Err.Code == divisionByZero {
		return errStaleProgress
	}
	return alarmstore.Classify(err)
}
