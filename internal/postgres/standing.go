package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/pipeline"
)

// Standing is how far one partition of a topic is stored.
type Standing struct {
	Partition   int32
	NextOffset  int64
	Unaccounted int64 // offsets below NextOffset that nothing accounts for: 0, or the schema's own check is broken
	UpdatedAt   time.Time
}

const standingsQuery = `
SELECT DISTINCT ON (partition) partition, next_offset,
       next_offset - first_offset - stored - anomalies - dead_lettered - skipped - lost, updated_at
  FROM ingest_progress
 WHERE topic_id = $1
 ORDER BY partition, incarnation DESC`

// Standings returns how far each partition of the topic with this id is stored, by partition number.
func Standings(ctx context.Context, pool *pgxpool.Pool, topicID [16]byte) (map[int32]Standing, error) {
	rows, err := pool.Query(ctx, standingsQuery, topicID)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Standing])
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	standings := make(map[int32]Standing, len(all))
	for _, standing := range all {
		standings[standing.Partition] = standing
	}
	return standings, nil
}

// Totals are the numbers of rows ever stored, and what waits for a person.
type Totals struct {
	Records     int64
	Anomalies   int64
	DeadLetters int64 // not replayed
	Incidents   int64
}

const storedTotalsQuery = `
SELECT coalesce(sum(stored), 0)::bigint, coalesce(sum(anomalies), 0)::bigint,
       (SELECT count(*) FROM dead_letters WHERE replayed_at IS NULL),
       (SELECT count(*) FROM data_incidents)
  FROM ingest_progress`

// ReadTotals counts what is stored.
func ReadTotals(ctx context.Context, pool *pgxpool.Pool) (totals Totals, err error) {
	err = pool.QueryRow(ctx, storedTotalsQuery).Scan(&totals.Records, &totals.Anomalies, &totals.DeadLetters, &totals.Incidents)
	if err != nil {
		return totals, fmt.Errorf("read totals: %w", err)
	}
	return totals, nil
}

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

// Unavailable tells whether an error is of a kind that passes by itself: an outage, not a wrong password.
func Unavailable(err error) bool {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return kindOfState(refusal.Code) == pipeline.Transient
	}
	return isOutage(err) && !untrusted(err) && !speaksNoTLS(err)
}

// PlainHosts returns the hosts that the options let be talked to without TLS, as sslmode=prefer does where a server has none.
// The directory of a Unix socket is none.
func PlainHosts(options Options) ([]string, error) {
	address, err := options.address()
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	var hosts []string
	add := func(host string, secure *tls.Config) {
		if secure == nil && !filepath.IsAbs(host) && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	add(config.ConnConfig.Host, config.ConnConfig.TLSConfig)
	for _, fallback := range config.ConnConfig.Fallbacks {
		add(fallback.Host, fallback.TLSConfig)
	}
	return hosts, nil
}

// Describe names a database for people, without its password.
func Describe(options Options) string {
	address, err := options.address()
	if err != nil {
		return "not set"
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return "not readable"
	}
	return fmt.Sprintf("%s:%d, database %s, user %s", config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Database, config.ConnConfig.User)
}
