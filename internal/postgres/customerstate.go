package postgres

import (
	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/pipeline"
)

// An older reading replaces nothing: a late one, or one that is told again by a replay.
const putCustomers = `
INSERT INTO customer_state AS held
       (customer_id, event_timestamp, kafka_offset, kafka_partition, heart_rate, class, kafka_topic)
SELECT customer_id, event_timestamp, kafka_offset, $2::integer, heart_rate, class, $1::text
  FROM unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::integer[], $7::text[])
    AS batch (customer_id, event_timestamp, kafka_offset, heart_rate, class)
    ON CONFLICT (customer_id) DO UPDATE
   SET event_timestamp = EXCLUDED.event_timestamp,
       last_seen_at    = now(),
       kafka_offset    = EXCLUDED.kafka_offset,
       kafka_partition = EXCLUDED.kafka_partition,
       heart_rate      = EXCLUDED.heart_rate,
       class           = EXCLUDED.class,
       kafka_topic     = EXCLUDED.kafka_topic
 WHERE (EXCLUDED.event_timestamp, EXCLUDED.kafka_offset) >= (held.event_timestamp, held.kafka_offset)`

// encodeCustomers fills the arrays $3 to $7 of putCustomers, in the order of customers: two workers that both have
// readings of some customers, as after a change of the number of partitions, must lock them in one order.
func encodeCustomers(columns *[5][]byte, states []pipeline.CustomerState, order []uint64) {
	for i, element := range [...]uint32{
		pgtype.TextOID, pgtype.TimestamptzOID, pgtype.Int8OID, pgtype.Int4OID, pgtype.TextOID,
	} {
		columns[i] = appendArray(columns[i][:0], element, len(states))
	}
	for _, key := range order {
		state := &states[uint32(key)]
		columns[0] = appendCustomer(columns[0], state.Customer)
		columns[1] = appendTime(columns[1], state.Time)
		columns[2] = appendInt64(columns[2], state.Offset)
		columns[3] = appendInt32(columns[3], int32(state.BPM))
		columns[4] = appendBytes(columns[4], state.Class.String())
	}
}
