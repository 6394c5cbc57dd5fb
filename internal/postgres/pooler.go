package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// poolerAttempts is how often two sessions are compared: other clients of a pooler may take the server session that would give it away.
const poolerAttempts = 5

// ErrTransactionPooling says that a pooler mixes up sessions, and what to change.
var ErrTransactionPooling = errors.New("a connection pooler in transaction mode gives each transaction another server session, which loses prepared " +
	"statements, settings and locks: set pool_mode = session for this database, or connect to the server directly")

// checkPooler refuses a connection pooler that does not keep a session on one server session.
func checkPooler(ctx context.Context, pool *pgxpool.Pool) error {
	first, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer first.Release()
	// A server tells its process id with the connection; a pooler tells a number of its own.
	backend, err := backendPID(ctx, first.Conn().PgConn())
	if err != nil || backend == first.Conn().PgConn().PID() {
		return err
	}
	second, err := ConnectUnlimited(ctx, pool, nil)
	if err != nil {
		return err
	}
	defer second.Close(context.WithoutCancel(ctx))
	for range poolerAttempts {
		if err := compareSessions(ctx, first.Conn(), second); err != nil {
			return err
		}
	}
	return nil
}

// compareSessions fails where two sessions share a server session, or one changes it while the other is in a transaction.
func compareSessions(ctx context.Context, first, second *pgx.Conn) error {
	before, err := backendPID(ctx, first.PgConn())
	if err != nil {
		return err
	}
	if _, err := second.PgConn().Exec(ctx, `BEGIN`).ReadAll(); err != nil {
		return err
	}
	defer RollBack(ctx, second)
	other, err := backendPID(ctx, second.PgConn())
	if err != nil {
		return err
	}
	if other == before {
		return ErrTransactionPooling
	}
	after, err := backendPID(ctx, first.PgConn())
	if err == nil && after != before {
		err = ErrTransactionPooling
	}
	return err
}

// backendPID asks without a prepared statement, which a pooler may mix up.
func backendPID(ctx context.Context, conn *pgconn.PgConn) (pid uint32, err error) {
	results, err := conn.Exec(ctx, `SELECT pg_backend_pid()`).ReadAll()
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(results[0].Rows[0][0]), &pid)
	return pid, err
}
