package ingest

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

// The state replaces the whole row. Only the owner of a partition writes the states of its customers.
const putDetectorStatesSQL = `
INSERT INTO detector_states AS held
       (customer_id, kafka_topic, kafka_partition, kafka_offset, state)
SELECT customer_id, $1::text, $2::integer, kafka_offset, state
  FROM unnest($3::text[], $4::bigint[], $5::bytea[]) AS batch (customer_id, kafka_offset, state)
    ON CONFLICT (customer_id) DO UPDATE
   SET kafka_topic     = EXCLUDED.kafka_topic,
       kafka_partition = EXCLUDED.kafka_partition,
       kafka_offset    = EXCLUDED.kafka_offset,
       state           = EXCLUDED.state,
       stored_at       = now()`

// encodeDetectorStates appends the states in the order of customers, as of the batch's first offset.
func encodeDetectorStates(e *encodedBatch, columns [][]byte, batch *pipeline.Batch) {
	for _, key := range e.states {
		i := uint32(key)
		columns[0] = appendCustomer(columns[0], batch.Customers[i].Customer)
		columns[1] = pgwire.AppendInt64(columns[1], batch.From)
		columns[2] = pgwire.AppendBytes(columns[2], batch.States[i])
	}
}

var _ pipeline.DetectionStore = (*Store)(nil)

// DetectorStates implements pipeline.DetectionStore.
func (s *Store) DetectorStates(ctx context.Context, claim pipeline.Claim, customers []heartbeat.CustomerID) (states []pipeline.DetectorState, err error) {
	err = s.session(ctx, "read detector states", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
SELECT customer_id, state, CASE WHEN kafka_topic = @log AND kafka_partition = @partition THEN kafka_offset ELSE 0 END
  FROM detector_states
 WHERE customer_id = ANY (@customers)`, pgx.StrictNamedArgs{"log": claim.Log, "partition": claim.Number, "customers": names(customers)})
		if err != nil {
			return err
		}
		states, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (state pipeline.DetectorState, err error) {
			var customer string
			if err := row.Scan(&customer, &state.Encoded, &state.AsOf); err != nil {
				return state, err
			}
			state.Customer, err = heartbeat.ParseCustomerID(customer)
			return state, err
		})
		return err
	})
	return states, err
}

// DeadLettered implements pipeline.DetectionStore.
func (s *Store) DeadLettered(ctx context.Context, claim pipeline.Claim, from, to int64) (dead map[int64]bool, err error) {
	dead = map[int64]bool{}
	err = s.session(ctx, "read offsets of dead letters", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
SELECT kafka_offset
  FROM dead_letters
 WHERE kafka_topic = @log AND kafka_partition = @partition AND kafka_offset >= @from AND kafka_offset < @to`,
			pgx.StrictNamedArgs{"log": claim.Log, "partition": claim.Number, "from": from, "to": to})
		if err != nil {
			return err
		}
		var offset int64
		_, err = pgx.ForEachRow(rows, []any{&offset}, func() error { dead[offset] = true; return nil })
		return err
	})
	return dead, err
}

// Episodes implements pipeline.DetectionStore.
func (s *Store) Episodes(ctx context.Context, customers []heartbeat.CustomerID) (episodes []pipeline.StoredEpisode, err error) {
	err = s.session(ctx, "read alarms of customers", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
SELECT DISTINCT ON (subject, condition) subject, condition, alarm_id, active, current_priority = 'high', coalesce(peak, value, 0), cleared_at
  FROM alarms
 WHERE subject = ANY (@customers)
 ORDER BY subject, condition, active DESC, cleared_at DESC NULLS LAST`, pgx.StrictNamedArgs{"customers": names(customers)})
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
	var id [16]byte
	var high bool
	var peak int32
	var cleared pgtype.Timestamptz
	if err := row.Scan(&customer, &condition, &id, &episode.Active, &high, &peak, &cleared); err != nil {
		return episode, err
	}
	episode.Alarm, episode.Peak, episode.Priority = id, heartbeat.BPM(peak), detect.Low
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
