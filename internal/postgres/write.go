package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/crashpoint"
	"heartbeat/internal/pipeline"
)

// Write stores the batch in one transaction of two round trips: begin, move the progress and copy the rows; then, when all
// that is well, add the rollups and commit.
func (s *Store) Write(ctx context.Context, claim pipeline.Claim, batch *pipeline.Batch) error {
	doing := fmt.Sprintf("write offsets %d to %d of %s/%d", batch.From, batch.To, claim.Log, claim.Number)
	if err := checkOffsets(batch); err != nil {
		return fault(ctx, doing, err)
	}
	load := s.payloads.Get().(*payload)
	load.encode(claim.Log, claim.Number, batch)
	err := s.session(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		if err := insert(ctx, conn, claim, batch, load); err != nil {
			return err
		}
		crashpoint.Reach(crashpoint.AfterInsert)
		return commitRollups(ctx, conn, load)
	})
	if err != nil {
		return err // and let go of the payload: pgx may go on reading it when a COPY breaks off
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

const moveProgressSQL = `
UPDATE ingest_progress
   SET next_offset   = $5,
       leader_epoch  = $6,
       state_from    = $7,
       stored        = stored + $8,
       anomalies     = anomalies + $9,
       dead_lettered = dead_lettered + $10,
       skipped       = skipped + $11,
       updated_at    = now()
 WHERE kafka_topic = $1 AND partition = $2 AND fence = $3 AND next_offset = $4`

// insert begins the transaction, moves the progress over the batch and copies the rows. From the progress on, whoever claims
// the partition waits for this transaction to end.
func insert(ctx context.Context, conn *pgx.Conn, claim pipeline.Claim, batch *pipeline.Batch, load *payload) error {
	statement, err := conn.Prepare(ctx, "move_progress", moveProgressSQL)
	if err != nil {
		return err
	}
	progress := [][]byte{
		[]byte(claim.Log), int4(claim.Number), int8(claim.Fence), int8(batch.From),
		int8(batch.To), int4(batch.Epoch), int8(batch.StateFrom),
		int8(load.recordCount), int8(load.anomalyCount), int8(int64(len(batch.DeadLetters))), int8(batch.Skipped),
	}
	var x exchange
	x.query("begin", `BEGIN`)
	x.execute("move progress", statement, progress)
	load.addCopies(&x)
	tags, err := x.run(ctx, conn)
	if err != nil {
		return err
	}
	if tags[1] != "UPDATE 1" {
		return errNotWhereLeft
	}
	return nil
}

// commitRollups adds the rollups and commits.
func commitRollups(ctx context.Context, conn *pgx.Conn, load *payload) error {
	var statements pgconn.Batch
	if err := load.queueRollups(ctx, conn, &statements); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.BeforeCommit)
	if err := commit(ctx, conn, &statements); err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.AfterCommit)
	return nil
}

// queueRollups adds the statements for the rollups that the payload has something for.
func (p *payload) queueRollups(ctx context.Context, conn *pgx.Conn, statements *pgconn.Batch) error {
	for _, rollup := range [...]struct {
		name, sql string
		wanted    bool
		columns   [][]byte
	}{
		{"add_minutes", addMinutes, p.hasMinutes, p.minutes[:]},
		{"put_customers", putCustomers, p.hasCustomers, p.customers[:]},
	} {
		if !rollup.wanted {
			continue
		}
		statement, err := conn.Prepare(ctx, rollup.name, rollup.sql)
		if err != nil {
			return err
		}
		parameters := append([][]byte{p.log, int4(p.partition)}, rollup.columns...)
		statements.ExecStatement(statement, parameters, binaryFormat, nil)
	}
	return nil
}
