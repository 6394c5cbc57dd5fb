package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// MinVersion is the oldest major version of PostgreSQL that the schema works on.
const MinVersion = 15

// ServerState is what a server says of itself.
type ServerState struct {
	Version        int // major
	Connections    int
	MaxConnections int
	Skew           time.Duration // how far its clock is ahead of ours
}

const serverQuery = `
SELECT current_setting('server_version_num')::integer / 10000, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::integer, clock_timestamp()`

// ReadServer asks the server about itself.
func ReadServer(ctx context.Context, pool *pgxpool.Pool) (state ServerState, err error) {
	var clock time.Time
	asked := time.Now()
	err = pool.QueryRow(ctx, serverQuery).Scan(&state.Version, &state.Connections, &state.MaxConnections, &clock)
	if err != nil {
		return state, fmt.Errorf("ask the server about itself: %w", err)
	}
	answered := time.Now()
	state.Skew = clock.Sub(asked.Add(answered.Sub(asked) / 2))
	return state, nil
}
