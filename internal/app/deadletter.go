package app

import (
	"context"
	"log/slog"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/readmodel"
)

// DeadLetters is the role that looks at dead letters and replays them. It must be closed.
type DeadLetters struct {
	pool      *postgres.Pool
	dashboard *query.Dashboard
	replayer  *ingest.Replayer
}

// OpenDeadLetters connects to the database.
func OpenDeadLetters(ctx context.Context, options postgres.Options, logger *slog.Logger) (*DeadLetters, error) {
	pool, err := openDatabase(ctx, options, logger)
	if err != nil {
		return nil, err
	}
	return &DeadLetters{pool: pool, dashboard: query.NewDashboard(pool), replayer: newReplayer(pool)}, nil
}

// newReplayer judges by the same rules as the consumer, but for retention: who replays an old record wants it.
func newReplayer(pool *postgres.Pool) *ingest.Replayer {
	return ingest.NewReplayer(ingest.NewStore(pool, owner()), func(record heartbeat.Record) (heartbeat.Reading, *heartbeat.Rejection) {
		var decoder heartbeat.Decoder
		return decoder.Decode(record)
	})
}

// Close disconnects.
func (d *DeadLetters) Close() { d.pool.Close() }

// List returns a page of dead letters, newest first.
func (d *DeadLetters) List(ctx context.Context, query readmodel.DeadLetterQuery) ([]readmodel.DeadLetter, error) {
	return d.dashboard.DeadLetters(ctx, query)
}

// Show returns one dead letter with its bytes, or readmodel.ErrNotFound.
func (d *DeadLetters) Show(ctx context.Context, id int64) (readmodel.RawDeadLetter, error) {
	return d.dashboard.DeadLetter(ctx, id)
}

// Replay decodes one dead letter again, see ingest.Replayer.
func (d *DeadLetters) Replay(ctx context.Context, id int64) (readmodel.Replay, error) {
	return d.replayer.Replay(ctx, id)
}
