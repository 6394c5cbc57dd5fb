// Package probe measures a database from beside the consumer: what it holds, what it wrote, and how fast it accepts rows from a writer
// that does nothing else. It is for benchmarks, on databases that hold nothing of value.
//
// It measures and reports; it decides nothing. A Probe may be shared by goroutines.
package probe

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/ingest"
)

// Probe asks one database.
type Probe struct {
	pool *pgxpool.Pool
}

// New returns a Probe on a pool, which the caller closes.
func New(pool *pgxpool.Pool) *Probe { return &Probe{pool: pool} }

// CreateDatabase creates an empty database on the server.
func (p *Probe) CreateDatabase(ctx context.Context, name string) error {
	if _, err := p.pool.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w; the benchmark works in databases of its own: give its user the right to (ALTER ROLE … CREATEDB)", name, err)
	}
	return nil
}

// DropDatabase drops a database with all that is in it, whoever uses it.
func (p *Probe) DropDatabase(ctx context.Context, name string) error {
	if _, err := p.pool.Exec(ctx, `DROP DATABASE IF EXISTS `+pgx.Identifier{name}.Sanitize()+` WITH (FORCE)`); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// Server is what a figure depends on besides the machine.
type Server struct {
	Version  string
	Backend  int               // process id of a session's server process
	Local    bool              // the server is reached through the loopback address
	Settings map[string]string // those that decide about speed
}

const serverQuery = `
SELECT current_setting('server_version'), pg_backend_pid(), coalesce(inet_server_addr() << '127.0.0.0/8' OR inet_server_addr() = '::1', true),
       (SELECT jsonb_object_agg(name, current_setting(name))
          FROM pg_settings
         WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'wal_level', 'checkpoint_timeout'))`

// Server asks the server about itself.
func (p *Probe) Server(ctx context.Context) (server Server, err error) {
	err = p.pool.QueryRow(ctx, serverQuery).Scan(&server.Version, &server.Backend, &server.Local, &server.Settings)
	if err != nil {
		return server, fmt.Errorf("ask the server about itself: %w", err)
	}
	return server, nil
}

// WAL returns how many bytes of write-ahead log the server has ever written.
func (p *Probe) WAL(ctx context.Context) (bytes int64, err error) {
	err = p.pool.QueryRow(ctx, `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint`).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("read position of the write-ahead log: %w", err)
	}
	return bytes, nil
}

const nextOffsetsQuery = `SELECT partition, next_offset FROM ingest_progress WHERE topic_id = $1`

// NextOffsets fills in how far each partition of a topic is stored and returns how many have been claimed. It runs during measurements,
// so its query is as cheap as possible, and expects a topic that was never recreated.
func (p *Probe) NextOffsets(ctx context.Context, topicID [16]byte, next []int64) (claimed int, err error) {
	rows, err := p.pool.Query(ctx, nextOffsetsQuery, topicID)
	if err != nil {
		return 0, fmt.Errorf("read progress: %w", err)
	}
	var partition int32
	var offset int64
	_, err = pgx.ForEachRow(rows, []any{&partition, &offset}, func() error {
		if int(partition) < len(next) {
			next[partition] = offset
			claimed++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read progress: %w", err)
	}
	return claimed, nil
}

// Content is what the tables hold, counted row by row.
type Content struct {
	Records, Anomalies, Alerts, DeadLetters int64

	Transactions int64 // that stored them
}

const contentQuery = `
SELECT (SELECT count(*) FROM heartbeat_records),
       (SELECT count(*) FROM heartbeat_anomalies),
       (SELECT count(*) FROM pipeline_metrics WHERE kafka_offset IS NOT NULL),
       (SELECT count(*) FROM dead_letters),
       (SELECT count(*) FROM (SELECT DISTINCT kafka_partition, ingestion_timestamp FROM heartbeat_records) AS batch)`

// Count counts what the tables hold, without a time limit.
func (p *Probe) Count(ctx context.Context) (c Content, err error) {
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		return tx.QueryRow(ctx, contentQuery).Scan(&c.Records, &c.Anomalies, &c.Alerts, &c.DeadLetters, &c.Transactions)
	})
	if err != nil {
		return c, fmt.Errorf("count rows: %w", err)
	}
	return c, nil
}

// AlarmEvents counts the history of all alarms.
func (p *Probe) AlarmEvents(ctx context.Context) (events int64, err error) {
	if err := p.pool.QueryRow(ctx, `SELECT count(*) FROM alarm_events`).Scan(&events); err != nil {
		return 0, fmt.Errorf("count events of alarms: %w", err)
	}
	return events, nil
}

// AlarmsRaised returns when the alarm of each customer was raised, by the time of its reading.
func (p *Probe) AlarmsRaised(ctx context.Context) (map[string]time.Time, error) {
	rows, err := p.pool.Query(ctx, `SELECT subject, raised_at FROM alarms WHERE condition = 'rate_high'`)
	if err != nil {
		return nil, fmt.Errorf("read alarms: %w", err)
	}
	raised := map[string]time.Time{}
	var subject string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&subject, &at}, func() error { raised[subject] = at; return nil }); err != nil {
		return nil, fmt.Errorf("read alarms: %w", err)
	}
	return raised, nil
}

// Sizes are bytes on disk, tables and their indexes apart.
type Sizes struct {
	RecordTable, RecordIndexes int64 // of heartbeat_records
	Everything                 int64 // all tables with all indexes
}

const sizesQuery = `
SELECT coalesce(sum(pg_table_size(relid)) FILTER (WHERE parentrelid IS NOT NULL OR isleaf), 0)::bigint,
       coalesce(sum(pg_indexes_size(relid)) FILTER (WHERE isleaf), 0)::bigint,
       (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)
  FROM pg_partition_tree('heartbeat_records')`

// Sizes measures the tables.
func (p *Probe) Sizes(ctx context.Context) (s Sizes, err error) {
	if err := p.pool.QueryRow(ctx, sizesQuery).Scan(&s.RecordTable, &s.RecordIndexes, &s.Everything); err != nil {
		return s, fmt.Errorf("measure tables: %w", err)
	}
	return s, nil
}

// Run runs a query and discards its rows.
func (p *Probe) Run(ctx context.Context, query string, args ...any) error {
	rows, err := p.pool.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return rows.Err()
}

// CopyBaseline stores batches on one session with nothing but COPY, a transaction each.
func (p *Probe) CopyBaseline(ctx context.Context, batches []*ingest.EncodedRows) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for _, batch := range batches {
		if err := batch.Copy(ctx, conn.Conn()); err != nil {
			return fmt.Errorf("copy rows: %w", err)
		}
	}
	return nil
}
