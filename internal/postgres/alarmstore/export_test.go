package alarmstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/pgwire"
)

// EscalateSQL is the statement of Store.Escalate.
const EscalateSQL = escalateSQL

// Apply applies transitions in a transaction of their own.
func Apply(ctx context.Context, pool *pgxpool.Pool, log string, partition int32, transitions []alarm.Transition) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	p := pgwire.NewPipeline(conn.Conn())
	p.Execute(ctx, "begin", `BEGIN`)
	if err := AddTransitions(ctx, p, log, partition, transitions); err != nil {
		return err
	}
	err = p.Commit(ctx)
	if err != nil {
		_, _ = conn.Exec(ctx, `ROLLBACK`)
	}
	return Classify(err)
}

// Subjects returns all alarms of some subjects.
func Subjects(ctx context.Context, pool *pgxpool.Pool, subjects []string) ([]alarm.Alarm, error) {
	rows, err := pool.Query(ctx, `SELECT`+alarmColumns+` FROM alarms WHERE subject = ANY ($1)`, subjects)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanAlarm)
}
