// Package importstore finds which readings of files are not stored yet. It copies the candidates into a temporary table, and compares
// them there with the stored readings by customer, event time and stored value.
//
// It writes nothing that outlives its session, and sends nothing: an import goes through Kafka like every reading. An advisory lock lets
// one import of a database run at a time, so that two imports of one file cannot both find it missing.
//
// A Session belongs to one goroutine. The package stands before the path of a reading.
package importstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres"
)

// Candidate is a reading of a file.
type Candidate struct {
	Customer heartbeat.CustomerID
	Rate     float64
	Time     time.Time
	Device   string // empty: not known
}

// Session is a database session that holds the lock of imports. It must be closed.
type Session struct {
	conn *pgx.Conn // taken out of the pool, which must not give the temporary tables to others
}

// Open begins a session and waits for the lock; waiting is called when another import holds it.
func Open(ctx context.Context, pool *postgres.Pool, waiting func()) (*Session, error) {
	pooled, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("open session for the import: %w", err)
	}
	s := &Session{conn: pooled.Hijack()}
	if err := s.setUp(ctx, waiting); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

const lockKey = `hashtextextended('heartbeat import ' || current_schema(), 0)`

// setUp lifts the limits of time: copying and comparing take as long as the files are large.
func (s *Session) setUp(ctx context.Context, waiting func()) error {
	_, err := s.conn.Exec(ctx, `
SET statement_timeout = 0;
CREATE TEMPORARY TABLE import_candidates (
    event_timestamp timestamptz NOT NULL,
    rate            float8      NOT NULL,
    heart_rate      integer     NOT NULL,
    customer_id     text        COLLATE "C" NOT NULL,
    class           text        COLLATE "C" NOT NULL,
    device_id       text        COLLATE "C"
)`)
	if err != nil {
		return fmt.Errorf("create temporary table for the import: %w", err)
	}
	var free bool
	if err := s.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(`+lockKey+`)`).Scan(&free); err != nil {
		return fmt.Errorf("lock imports: %w", err)
	}
	if free {
		return nil
	}
	waiting()
	if _, err := s.conn.Exec(ctx, `SELECT pg_advisory_lock(`+lockKey+`)`); err != nil {
		return fmt.Errorf("wait for another import: %w", err)
	}
	return nil
}

// Close ends the session, and with it the lock and the temporary tables.
func (s *Session) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.conn.Close(ctx)
}

const closeTimeout = 5 * time.Second

// Copy copies candidates until next returns false.
func (s *Session) Copy(ctx context.Context, next func() (Candidate, bool)) error {
	columns := []string{"event_timestamp", "rate", "heart_rate", "customer_id", "class", "device_id"}
	_, err := s.conn.CopyFrom(ctx, pgx.Identifier{"import_candidates"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		c, ok := next()
		if !ok {
			return nil, nil
		}
		class, bpm := heartbeat.Classify(c.Rate)
		var device any
		if c.Device != "" {
			device = c.Device
		}
		return []any{c.Time, c.Rate, int32(bpm), c.Customer.String(), class.String(), device}, nil
	}))
	if err != nil {
		return fmt.Errorf("copy candidates: %w", err)
	}
	return nil
}

// Comparison is what the candidates are against what is stored.
type Comparison struct {
	Distinct int64 // different readings among the candidates
	Stored   int64 // of those, stored already
	TooOld   int64 // of the others, those that the retention of the consumers refuses
	New      int64 // the rest
}

// One reading of a file may stand in it several times, and in several files: the stored value decides what is the same.
const distinctSQL = `
CREATE TEMPORARY TABLE import_distinct AS
SELECT DISTINCT ON (customer_id, event_timestamp, class, heart_rate) *
  FROM import_candidates
 ORDER BY customer_id, event_timestamp, class, heart_rate, rate, device_id;
TRUNCATE import_candidates;
ANALYZE import_distinct`

const newSQL = `
CREATE TEMPORARY TABLE import_new AS
SELECT c.*
  FROM import_distinct AS c
 WHERE NOT EXISTS (SELECT FROM heartbeat_records AS r
                    WHERE c.class = 'NORMAL' AND r.customer_id = c.customer_id AND r.event_timestamp = c.event_timestamp
                      AND r.heart_rate = c.heart_rate)
   AND NOT EXISTS (SELECT FROM heartbeat_anomalies AS a
                    WHERE a.anomaly_type = c.class AND a.customer_id = c.customer_id AND a.event_timestamp = c.event_timestamp
                      AND a.heart_rate = c.heart_rate)`

// Compare finds the candidates that are not stored. Readings before oldest are not sent: consumers would refuse them; a zero time is
// no bound. Everything that may hold a candidate must be stored before.
func (s *Session) Compare(ctx context.Context, oldest time.Time) (result Comparison, err error) {
	if _, err := s.conn.Exec(ctx, distinctSQL); err != nil {
		return result, fmt.Errorf("find the different readings: %w", err)
	}
	if _, err := s.conn.Exec(ctx, newSQL); err != nil {
		return result, fmt.Errorf("compare with the stored readings: %w", err)
	}
	var missing int64
	err = s.conn.QueryRow(ctx, `
SELECT (SELECT count(*) FROM import_distinct), count(*), count(*) FILTER (WHERE event_timestamp < $1) FROM import_new`, oldest).
		Scan(&result.Distinct, &missing, &result.TooOld)
	if err != nil {
		return result, fmt.Errorf("count new readings: %w", err)
	}
	result.Stored, result.New = result.Distinct-missing, missing-result.TooOld
	return result, nil
}

// New visits the candidates that are not stored, oldest first.
func (s *Session) New(ctx context.Context, oldest time.Time, visit func(Candidate) error) error {
	rows, err := s.conn.Query(ctx, `
SELECT customer_id, rate, event_timestamp, coalesce(device_id, '')
  FROM import_new
 WHERE event_timestamp >= $1
 ORDER BY event_timestamp, customer_id`, oldest)
	if err != nil {
		return fmt.Errorf("read new readings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Candidate
		var customer string
		if err := rows.Scan(&customer, &c.Rate, &c.Time, &c.Device); err != nil {
			return fmt.Errorf("read new readings: %w", err)
		}
		if c.Customer, err = heartbeat.ParseCustomerID(customer); err != nil {
			return fmt.Errorf("read new readings: %w", err)
		}
		if err := visit(c); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read new readings: %w", err)
	}
	return nil
}
