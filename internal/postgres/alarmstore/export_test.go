package alarmstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
)

// Apply applies transitions in a transaction of their own.
func Apply(ctx context.Context, pool *pgxpool.Pool, log string, partition int32, transitions []alarm.Transition) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, round := range alarm.Rounds(transitions) {
			parameters, err := applyParameters(log, partition, round)
			if err != nil {
				return err
			}
			if _, err := tx.Conn().Prepare(ctx, ApplyStatement, applySQL); err != nil {
				return err
			}
			if _, err := tx.Conn().PgConn().ExecPrepared(ctx, ApplyStatement, parameters, []int16{1}, nil).Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Subjects returns all alarms of some subjects.
func Subjects(ctx context.Context, pool *pgxpool.Pool, subjects []string) ([]alarm.Alarm, error) {
	rows, err := pool.Query(ctx, `SELECT`+alarmColumns+` FROM alarms WHERE subject = ANY ($1)`, subjects)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanAlarm)
}
