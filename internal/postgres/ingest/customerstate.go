package ingest

import (
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

// An older reading replaces nothing: it arrived late or is replayed. What it omits of the device stays, unless it comes from another
// device. A null device_id says that the readings said nothing of a device.
const putCustomersSQL = `
INSERT INTO customer_state AS held
       (customer_id, event_timestamp, kafka_offset, kafka_partition, heart_rate, class, kafka_topic, time_used,
        device_id, battery, contact, steps)
SELECT customer_id, event_timestamp, kafka_offset, $2::integer, heart_rate, class, $1::text, time_used,
       device_id, battery, contact, steps
  FROM unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::integer[], $7::text[], $8::timestamptz[],
              $9::text[], $10::float8[], $11::boolean[], $12::bigint[])
    AS batch (customer_id, event_timestamp, kafka_offset, heart_rate, class, time_used, device_id, battery, contact, steps)
    ON CONFLICT (customer_id) DO UPDATE
   SET event_timestamp = EXCLUDED.event_timestamp,
       last_seen_at    = now(),
       kafka_offset    = EXCLUDED.kafka_offset,
       kafka_partition = EXCLUDED.kafka_partition,
       heart_rate      = EXCLUDED.heart_rate,
       class           = EXCLUDED.class,
       kafka_topic     = EXCLUDED.kafka_topic,
       time_used       = EXCLUDED.time_used,
       device_id       = coalesce(EXCLUDED.device_id, held.device_id),
       battery         = CASE WHEN EXCLUDED.device_id <> held.device_id THEN EXCLUDED.battery ELSE coalesce(EXCLUDED.battery, held.battery) END,
       contact         = CASE WHEN EXCLUDED.device_id <> held.device_id THEN EXCLUDED.contact ELSE coalesce(EXCLUDED.contact, held.contact) END,
       steps           = CASE WHEN EXCLUDED.device_id <> held.device_id THEN EXCLUDED.steps ELSE coalesce(EXCLUDED.steps, held.steps) END
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
		encodeDevice(columns[6:], state.Device)
	}
}

// encodeDevice appends device_id, battery, contact and steps: NULL for what was not said.
func encodeDevice(columns [][]byte, device *heartbeat.Device) {
	if device == nil {
		for i := range columns[:4] {
			columns[i] = pgwire.AppendNull(columns[i])
		}
		return
	}
	columns[0] = pgwire.AppendBytes(columns[0], device.ID)
	if device.Battery >= 0 {
		columns[1] = pgwire.AppendFloat64(columns[1], device.Battery)
	} else {
		columns[1] = pgwire.AppendNull(columns[1])
	}
	if device.Contact != heartbeat.ContactUnknown {
		columns[2] = pgwire.AppendBool(columns[2], device.Contact == heartbeat.InContact)
	} else {
		columns[2] = pgwire.AppendNull(columns[2])
	}
	if device.Steps >= 0 {
		columns[3] = pgwire.AppendInt64(columns[3], device.Steps)
	} else {
		columns[3] = pgwire.AppendNull(columns[3])
	}
}
