package ingest

import (
	"encoding/binary"
	"math"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

const copyRecordsSQL = `
COPY heartbeat_records (event_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic)
FROM STDIN (FORMAT binary)`

func encodeRecords(e *encodedBatch, b []byte, batch *pipeline.Batch) []byte {
	for _, key := range e.normal {
		reading := &batch.Readings[uint32(key)]
		b = pgwire.AppendColumns(b, 6)
		b = pgwire.AppendTime(b, reading.Time)
		b = pgwire.AppendInt64(b, reading.Offset)
		b = pgwire.AppendInt16(b, int16(e.partition))
		b = pgwire.AppendInt16(b, int16(min(max(reading.BPM, math.MinInt16), math.MaxInt16)))
		b = appendCustomer(b, reading.Customer)
		b = pgwire.AppendBytes(b, e.log)
	}
	return b
}

const copyAnomaliesSQL = `
COPY heartbeat_anomalies (event_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic,
                          anomaly_type, raw_message)
FROM STDIN (FORMAT binary)`

func encodeAnomalies(e *encodedBatch, b []byte, batch *pipeline.Batch) []byte {
	for _, key := range e.abnormal {
		reading := &batch.Readings[uint32(key)]
		b = pgwire.AppendColumns(b, 8)
		b = pgwire.AppendTime(b, reading.Time)
		b = pgwire.AppendInt64(b, reading.Offset)
		b = pgwire.AppendInt32(b, e.partition)
		b = pgwire.AppendInt32(b, int32(reading.BPM))
		b = appendCustomer(b, reading.Customer)
		b = pgwire.AppendBytes(b, e.log)
		b = pgwire.AppendBytes(b, reading.Class.String())
		b = pgwire.AppendBytes(b, reading.Raw)
	}
	return b
}

const copyMetricsSQL = `
COPY pipeline_metrics (metric_name, metric_value, metric_unit, event_timestamp, kafka_offset, kafka_partition, kafka_topic)
FROM STDIN (FORMAT binary)`

func encodeMetrics(e *encodedBatch, b []byte, batch *pipeline.Batch) []byte {
	for _, key := range e.abnormal {
		reading := &batch.Readings[uint32(key)]
		b = appendMetric(b, alertName(reading.Class), float64(reading.BPM), "bpm")
		b = pgwire.AppendTime(b, reading.Time)
		b = pgwire.AppendInt64(b, reading.Offset)
		b = pgwire.AppendInt32(b, e.partition)
		b = pgwire.AppendBytes(b, e.log)
	}
	if snapshot := batch.Snapshot; snapshot != nil {
		b = appendSnapshot(b, "valid_processed", snapshot.Valid)
		b = appendSnapshot(b, "anomaly_processed", snapshot.Anomalies)
		b = appendSnapshot(b, "errors", snapshot.Errors)
	}
	return b
}

func appendMetric(b []byte, name string, value float64, unit string) []byte {
	b = pgwire.AppendColumns(b, 7)
	b = pgwire.AppendBytes(b, name)
	b = pgwire.AppendFloat64(b, value)
	return pgwire.AppendBytes(b, unit)
}

// appendSnapshot appends a metric that belongs to no reading.
func appendSnapshot(b []byte, name string, count int64) []byte {
	b = appendMetric(b, name, float64(count), "records")
	for range 4 {
		b = pgwire.AppendNull(b)
	}
	return b
}

func alertName(class heartbeat.Class) string {
	switch class {
	case heartbeat.Bradycardia:
		return "alert_bradycardia"
	case heartbeat.Tachycardia:
		return "alert_tachycardia"
	default:
		return "alert_invalid"
	}
}

const copyDeadLettersSQL = `
COPY dead_letters (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, reason, detail, customer_id,
                   raw_key, raw_value, raw_length, raw_sha256)
FROM STDIN (FORMAT binary)`

func encodeDeadLetters(e *encodedBatch, b []byte, batch *pipeline.Batch) []byte {
	for i := range batch.DeadLetters {
		letter := &batch.DeadLetters[i]
		b = pgwire.AppendColumns(b, 11)
		b = pgwire.AppendBytes(b, e.log)
		b = pgwire.AppendInt32(b, e.partition)
		b = pgwire.AppendInt64(b, letter.Offset)
		if !letter.Timestamp.IsZero() && pgwire.Representable(letter.Timestamp) {
			b = pgwire.AppendTime(b, letter.Timestamp)
		} else {
			b = pgwire.AppendNull(b)
		}
		b = pgwire.AppendBytes(b, pgwire.CleanText(string(letter.Reason)))
		b = pgwire.AppendBytes(b, pgwire.CleanText(letter.Detail))
		if letter.Customer == "" {
			b = pgwire.AppendNull(b)
		} else {
			b = pgwire.AppendBytes(b, pgwire.CleanText(letter.Customer))
		}
		b = pgwire.AppendOptional(b, letter.Key)
		b = pgwire.AppendOptional(b, letter.Value)
		b = pgwire.AppendInt64(b, int64(letter.Length))
		b = pgwire.AppendBytes(b, letter.SHA256[:])
	}
	return b
}

func appendCustomer(b []byte, id heartbeat.CustomerID) []byte {
	length := len(b)
	b = id.AppendTo(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[length:], uint32(len(b)-length-4))
	return b
}
