package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/pipeline"
)

// operationTimeout bounds one transaction from beginning to end, waiting for a session included. A network that swallows
// everything says nothing that could be waited for.
const operationTimeout = 60 * time.Second

// Store is where batches end. It implements pipeline.Store and may be shared by all workers of a process; the pool
// should have a session for each.
type Store struct {
	pool     *pgxpool.Pool
	owner    string
	patience time.Duration // how long a claim waits for the transaction of the one before
	payloads sync.Pool
}

var _ pipeline.Store = (*Store)(nil)

// NewStore returns a Store on a pool, which stays the caller's to close. The owner names this process to people who look
// at the progress.
func NewStore(pool *pgxpool.Pool, owner string) *Store {
	return &Store{
		pool: pool, owner: clean(owner), patience: claimPatience,
		payloads: sync.Pool{New: func() any { return newPayload() }},
	}
}

// session runs steps on a session of its own. When they leave a transaction open it is rolled back.
func (s *Store) session(ctx context.Context, doing string, steps func(context.Context, *pgx.Conn) error) error {
	bounded, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(bounded)
	if err != nil {
		return fault(ctx, doing, err)
	}
	defer conn.Release()
	if err := steps(bounded, conn.Conn()); err != nil {
		rollBack(ctx, conn.Conn())
		return fault(ctx, doing, err)
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
		return newExchange(conn).commit(ctx)
	})
}

// rollBack saves the session for the next user. A session that it cannot save is one that the pool throws away.
func rollBack(ctx context.Context, conn *pgx.Conn) {
	const idle = 'I'
	if conn.IsClosed() || conn.PgConn().TxStatus() == idle {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, `ROLLBACK`)
}
