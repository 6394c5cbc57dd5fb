// Package ingest stores batches of readings exactly once. A Store claims partitions, writes batches with their progress, records
// incidents and replays dead letters.
//
// It decides nothing about a reading, retries nothing and deletes nothing. Its errors are pipeline faults: the caller repeats a batch
// after an outage, and splits it after a data error.
//
// A Store may be shared by goroutines. Each method is one transaction on one session. The fence in ingest_progress keeps two writers
// of a partition apart, never a lock in this process.
//
// On the path of a reading it is the last step: its commit is the only acknowledgement.
package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgwire"
)

// operationTimeout bounds a transaction, including the wait for a session. Without it a network that drops all packets would block
// a worker for as long as TCP retransmits.
const operationTimeout = 60 * time.Second

// Store implements pipeline.Store. All workers of a process may share one; the pool should have a session for each.
type Store struct {
	pool         *pgxpool.Pool
	owner        string
	claimTimeout time.Duration // how long a claim waits for the transaction of the previous claim
	batches      sync.Pool     // of *encodedBatch
}

var _ pipeline.Store = (*Store)(nil)

// NewStore returns a Store on a pool, which the caller closes. The owner is shown to people as the holder of a partition.
func NewStore(pool *pgxpool.Pool, owner string) *Store {
	return &Store{
		pool: pool, owner: pgwire.CleanText(owner), claimTimeout: defaultClaimTimeout,
		batches: sync.Pool{New: func() any { return newEncodedBatch() }},
	}
}

// session runs steps on a session and rolls back the transaction that they leave open.
func (s *Store) session(ctx context.Context, doing string, steps func(context.Context, *pgx.Conn) error) error {
	bounded, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(bounded)
	if err != nil {
		return postgres.Classify(ctx, doing, err)
	}
	defer conn.Release()
	if err := steps(bounded, conn.Conn()); err != nil {
		postgres.RollBack(ctx, conn.Conn())
		return postgres.Classify(ctx, doing, err)
	}
	return nil
}

// transact runs steps in a transaction.
func (s *Store) transact(ctx context.Context, doing string, steps func(context.Context, *pgx.Conn) error) error {
	return s.session(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, `BEGIN`); err != nil {
			return err
		}
		if err := steps(ctx, conn); err != nil {
			return err
		}
		return pgwire.NewPipeline(conn).Commit(ctx)
	})
}
