package ingest

import (
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

// An older reading replaces nothing: it arrived late or is replayed.
const putCustomersSQL = `
INSERT INTO customer_state AS held
       (customer_id, event_timestamp, kafka_offset, kafka_partition, heart_rate, class, kafka_topic, time_used)
SELECT customer_id, event_timestamp, kafka_offset, $2::integer, heart_rate, class, $1::text, time_used
  FROM unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::integer[], $7::text[], $8::timestamptz[])
    AS batch (customer_id, event_timestamp, kafka_offset, heart_rate, class, time_used)
    ON CONFLICT (customer_id) DO UPDATE
   SET event_timestamp = EXCLUDED.event_timestamp,
       last_seen_at    = now(),
       kafka_offset    = EXCLUDED.kafka_offset,
       kafka_partition = EXCLUDED.kafka_partition,
       heart_rate      = EXCLUDED.heart_rate,
       class           = EXCLUDED.class,
       kafka_topic     = EXCLUDED.kafka_topic,
       time_used       = EXCLUDED.time_used
 WHERE (EXCLUDED.time_used, EXCLUDED.kafka_offset) >= (coalesce(held.time_used, held.event_timestamp), held.kafka_offset)`

// encodeCustomers appends the states in the order of customers. After a change of the number of partitions two workers may have
// readings of the same customers: they must lock the rows in one order.
func encodeCustomers(e *encodedBatch, columns [][]byte, batch *pipeline.Batch) {
	for _, key := range e.states {
		state := &batch.Customers[uint32(key)]
		columns[0] = appendCustomer(columns[0], state.Customer)
		columns[1] = pgwire.AppendTime(columns[1], state.Time)
		columns[2] = pgwire.AppendInt64(columns[2], state.Offset)
		columns[3] = pgwire.AppendInt32(columns[3], int32(state.BPM))
		columns[4] = pgwire.AppendBytes(columns[4], state.Class.String())
		columns[5] = pgwire.AppendTime(columns[5], state.TimeUsed().UTC())
	}
}
