package ingest

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
	"heartbeat/internal/silence"
)

// The state replaces the whole row, unless that is a newer one of another partition: after a change of the number of partitions the
// owner of the former one may still hold a state of the customer.
const putDetectorStatesSQL = `
INSERT INTO detector_states AS held
       (customer_id, kafka_topic, kafka_partition, kafka_offset, state, time_used)
SELECT customer_id, $1::text, $2::integer, kafka_offset, state, time_used
  FROM unnest($3::text[], $4::bigint[], $5::bytea[], $6::timestamptz[]) AS batch (customer_id, kafka_offset, state, time_used)
    ON CONFLICT (customer_id) DO UPDATE
   SET kafka_topic     = EXCLUDED.kafka_topic,
       kafka_partition = EXCLUDED.kafka_partition,
       kafka_offset    = EXCLUDED.kafka_offset,
       state           = EXCLUDED.state,
       time_used       = EXCLUDED.time_used,
       stored_at       = now()
 WHERE held.kafka_topic = EXCLUDED.kafka_topic AND held.kafka_partition = EXCLUDED.kafka_partition
    OR (EXCLUDED.time_used < held.time_used) IS NOT TRUE`

// encodeDetectorStates appends the states in the order of customers, as of the batch's first offset.
func encodeDetectorStates(e *encodedBatch, columns [][]byte, batch *pipeline.Batch) {
	for _, key := range e.states {
		i := uint32(key)
		columns[0] = appendCustomer(columns[0], batch.Customers[i].Customer)
		columns[1] = pgwire.AppendInt64(columns[1], batch.From)
		columns[2] = pgwire.AppendBytes(columns[2], batch.States[i])
		columns[3] = appendTimeUsed(columns[3], &batch.Customers[i])
	}
}

// appendTimeUsed appends when the state was the newest, NULL where only the device says so.
func appendTimeUsed(column []byte, latest *pipeline.CustomerState) []byte {
	if latest.Kafka == 0 {
		return pgwire.AppendNull(column)
	}
	return pgwire.AppendTime(column, latest.TimeUsed().UTC())
}

var _ pipeline.DetectionStore = (*Store)(nil)

// DetectorStates implements pipeline.DetectionStore.
func (s *Store) DetectorStates(ctx context.Context, claim pipeline.Claim, customers []heartbeat.CustomerID) (states []pipeline.DetectorState, err error) {
	err = s.session(ctx, "read detector states", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
SELECT customer_id, state, CASE WHEN kafka_topic = @log AND kafka_partition = @partition THEN kafka_offset ELSE 0 END,
       silence.since IS NOT NULL, `+silenceIsRaised+`
  FROM unnest(@customers::text[]) AS given (customer_id)
  LEFT JOIN detector_states USING (customer_id)
  LEFT JOIN (SELECT customer_id, since FROM silences) AS silence USING (customer_id)
 WHERE state IS NOT NULL OR silence.since IS NOT NULL`,
			pgx.StrictNamedArgs{"log": claim.Log, "partition": claim.Number, "customers": names(customers)})
		if err != nil {
			return err
		}
		states, err = pgx.CollectRows(rows, scanDetectorState)
		return err
	})
	return states, err
}

func scanDetectorState(row pgx.CollectableRow) (state pipeline.DetectorState, err error) {
	var customer string
	var silent, raised bool
	if err := row.Scan(&customer, &state.Encoded, &state.AsOf, &silent, &raised); err != nil {
		return state, err
	}
	switch {
	case raised:
		state.Silent = silence.Silent
	case silent:
		state.Silent = silence.Held
	}
	state.Customer, err = heartbeat.ParseCustomerID(customer)
	return state, err
}

// DeadLettered implements pipeline.DetectionStore.
func (s *Store) DeadLettered(ctx context.Context, claim pipeline.Claim, from, to int64) (map[int64]bool, error) {
	return s.offsets(ctx, claim, "dead_letters", from, to)
}

// Alarms are kept for ever by default, so neither statement reads all of a customer's.
const (
	activeEpisodesSQL = `
SELECT subject, condition, active, current_priority = 'high', coalesce(peak, value, 0), cleared_at
  FROM alarms
 WHERE closed_at IS NULL AND active AND subject = ANY (@customers) AND condition IN ('rate_high', 'rate_low', 'bad_signal')`

	// One that is active has no end, and so comes first.
	latestEpisodesSQL = `
SELECT subject, condition, active, current_priority = 'high', coalesce(peak, value, 0), cleared_at
  FROM unnest(@customers::text[]) AS customer (id)
 CROSS JOIN (VALUES ('rate_high'), ('rate_low'), ('bad_signal')) AS judged (name)
 CROSS JOIN LATERAL (
       SELECT * FROM alarms WHERE subject = customer.id AND condition = judged.name ORDER BY subject, condition, cleared_at DESC NULLS FIRST LIMIT 1) AS latest`
)

// Episodes implements pipeline.DetectionStore.
func (s *Store) Episodes(ctx context.Context, customers []heartbeat.CustomerID, cleared bool) (episodes []pipeline.StoredEpisode, err error) {
	sql := activeEpisodesSQL
	if cleared {
		sql = latestEpisodesSQL
	}
	err = s.session(ctx, "read alarms of customers", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, pgx.StrictNamedArgs{"customers": names(customers)})
		if err != nil {
			return err
		}
		episodes, err = pgx.CollectRows(rows, scanEpisode)
		return err
	})
	return episodes, err
}

func scanEpisode(row pgx.CollectableRow) (episode pipeline.StoredEpisode, err error) {
	var customer, condition string
	var high bool
	var peak int32
	var cleared pgtype.Timestamptz
	if err := row.Scan(&customer, &condition, &episode.Active, &high, &peak, &cleared); err != nil {
		return episode, err
	}
	episode.Peak, episode.Priority = heartbeat.BPM(peak), detect.Low
	if high {
		episode.Priority = detect.High
	}
	if !episode.Active && cleared.Valid {
		episode.Cleared = detect.TimeOf(cleared.Time)
	}
	for _, c := range detect.Conditions {
		if c.String() == condition {
			episode.Condition = c
		}
	}
	episode.Customer, err = heartbeat.ParseCustomerID(customer)
	return episode, err
}

func names(customers []heartbeat.CustomerID) []string {
	names := make([]string, len(customers))
	for i := range customers {
		names[i] = customers[i].String()
	}
	return names
}
