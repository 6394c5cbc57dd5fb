package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/crashpoint"
	"heartbeat/internal/pipeline"
)

// Write stores the batch in one transaction that goes to the server in one piece: begin, move the progress, copy the rows, add
// the rollups, commit.
func (s *Store) Write(ctx context.Context, claim pipeline.Claim, batch *pipeline.Batch) error {
	doing := fmt.Sprintf("write offsets %d to %d of %s/%d", batch.From, batch.To, claim.Log, claim.Number)
	if err := checkOffsets(batch); err != nil {
		return fault(ctx, doing, err)
	}
	load := s.payloads.Get().(*payload)
	load.encode(claim.Log, claim.Number, batch)
	err := s.session(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		load.exchange.reset(conn)
		return write(ctx, &load.exchange, claim, batch, load)
	})
	if err != nil {
		return err // and let go of the payload: a send that was cut short may go on reading it
	}
	load.trim()
	s.payloads.Put(load)
	return nil
}

// checkOffsets refuses a batch that would break the promise that every offset is accounted for. The database refuses it
// as well, but as if its data were bad.
func checkOffsets(batch *pipeline.Batch) error {
	accounted := int64(len(batch.Readings)) + int64(len(batch.DeadLetters)) + batch.Skipped
	if accounted != batch.To-batch.From {
		return fmt.Errorf("account for offsets: the batch spans %d and holds %d", batch.To-batch.From, accounted)
	}
	return nil
}

// moveProgressSQL moves the progress from where the claim left it, and divides by zero where it is not there: nobody is asked
// between this and COMMIT, so it must fail by itself.
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

// write stores a batch. From the progress on, whoever claims the partition waits for this transaction to end.
func write(ctx context.Context, x *exchange, claim pipeline.Claim, batch *pipeline.Batch, load *payload) error {
	x.execute(ctx, "begin", `BEGIN`)
	x.execute(ctx, moveProgress, moveProgressSQL,
		load.log, int4(claim.Number), int8(claim.Fence), int8(batch.From),
		int8(batch.To), int4(batch.Epoch), int8(batch.StateFrom),
		int8(load.recordCount), int8(load.anomalyCount), int8(int64(len(batch.DeadLetters))), int8(batch.Skipped))
	load.addCopies(ctx, x)
	x.reach(crashpoint.AfterInsert)
	load.addRollups(ctx, x)
	x.reach(crashpoint.BeforeCommit)
	err := x.commit(ctx, crashpoint.CommitSent)
	if err == nil {
		crashpoint.Reach(crashpoint.AfterCommit)
	}
	if refused, ok := errors.AsType[*refusal](err); ok && refused.step == moveProgress && refused.err.Code == divisionByZero {
		return errNotWhereLeft
	}
	return err
}

// addRollups adds the statements for the minutes and the customer states of the batch.
func (p *payload) addRollups(ctx context.Context, x *exchange) {
	for i := range p.fleet.rows {
		x.execute(ctx, "add_minute", addMinute, append([][]byte{p.log, int4(p.partition)}, p.fleet.rows[i].parameters()...)...)
	}
	if p.hasCustomers {
		x.execute(ctx, "put_customers", putCustomers, append([][]byte{p.log, int4(p.partition)}, p.customers[:]...)...)
	}
}
