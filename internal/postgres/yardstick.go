package postgres

import (
	"context"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Yardstick measures a database from beside the consumer: what is in it, what it wrote, and how fast it takes rows from
// somebody who does nothing else. It is for benchmarks, on databases that hold nothing of worth.
type Yardstick struct {
	pool *pgxpool.Pool
}

// NewYardstick returns a Yardstick on a pool, which stays the caller's to close.
func NewYardstick(pool *pgxpool.Pool) *Yardstick { return &Yardstick{pool: pool} }

// WithDatabase returns the options for another database of the same server.
func (o Options) WithDatabase(name string) (Options, error) {
	text, err := o.address()
	if err != nil {
		return o, err
	}
	address, err := url.Parse(text)
	if err != nil {
		return o, fmt.Errorf("read database address: want postgres://user@host:port/name") // the text may hold a password
	}
	address.Path = "/" + name
	o.URL = address.String()
	return o, nil
}

// CreateDatabase creates an empty database on the server.
func (y *Yardstick) CreateDatabase(ctx context.Context, name string) error {
	if _, err := y.pool.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w; the benchmark works in databases of its own: give its user the right to (ALTER ROLE … CREATEDB)", name, err)
	}
	return nil
}

// DropDatabase drops a database with all that is in it, whoever uses it.
func (y *Yardstick) DropDatabase(ctx context.Context, name string) error {
	if _, err := y.pool.Exec(ctx, `DROP DATABASE IF EXISTS `+pgx.Identifier{name}.Sanitize()+` WITH (FORCE)`); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// ServerFacts are what a figure depends on besides the machine.
type ServerFacts struct {
	Version  string
	Backend  int               // process id of a session's server process
	Local    bool              // the server is reached through the loopback address
	Settings map[string]string // those that decide about speed
}

const serverFactsQuery = `
SELECT current_setting('server_version'), pg_backend_pid(), coalesce(inet_server_addr() << '127.0.0.0/8' OR inet_server_addr() = '::1', true),
       (SELECT jsonb_object_agg(name, current_setting(name))
          FROM pg_settings
         WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'wal_level', 'checkpoint_timeout'))`

// Server asks the server about itself.
func (y *Yardstick) Server(ctx context.Context) (facts ServerFacts, err error) {
	err = y.pool.QueryRow(ctx, serverFactsQuery).Scan(&facts.Version, &facts.Backend, &facts.Local, &facts.Settings)
	if err != nil {
		return facts, fmt.Errorf("ask the server about itself: %w", err)
	}
	return facts, nil
}

// WAL returns how many bytes of write-ahead log the server has ever written.
func (y *Yardstick) WAL(ctx context.Context) (bytes int64, err error) {
	err = y.pool.QueryRow(ctx, `SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint`).Scan(&bytes)
	if err != nil {
		return 0, fmt.Errorf("read position of the write-ahead log: %w", err)
	}
	return bytes, nil
}

const nextOffsetsQuery = `SELECT partition, next_offset FROM ingest_progress WHERE topic_id = $1`

// NextOffsets fills in how far each partition of a topic is stored and returns how many have been claimed. It is asked again and
// again while something is measured, so it makes the server do no more than must be, for a topic that was never recreated.
func (y *Yardstick) NextOffsets(ctx context.Context, topicID [16]byte, next []int64) (claimed int, err error) {
	rows, err := y.pool.Query(ctx, nextOffsetsQuery, topicID)
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

// Count counts what the tables hold, however long that takes.
func (y *Yardstick) Count(ctx context.Context) (c Content, err error) {
	err = pgx.BeginFunc(ctx, y.pool, func(tx pgx.Tx) error {
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
func (y *Yardstick) Sizes(ctx context.Context) (s Sizes, err error) {
	if err := y.pool.QueryRow(ctx, sizesQuery).Scan(&s.RecordTable, &s.RecordIndexes, &s.Everything); err != nil {
		return s, fmt.Errorf("measure tables: %w", err)
	}
	return s, nil
}

// Run runs a query and reads its rows without looking at them.
func (y *Yardstick) Run(ctx context.Context, query string, args ...any) error {
	rows, err := y.pool.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return rows.Err()
}

// BareCopy stores batches on one session with nothing but COPY, a transaction for each.
func (y *Yardstick) BareCopy(ctx context.Context, batches []*BareBatch) error {
	conn, err := y.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for _, batch := range batches {
		if err := batch.payload.copyRows(ctx, conn.Conn()); err != nil {
			return fmt.Errorf("copy rows: %w", err)
		}
	}
	return nil
}
