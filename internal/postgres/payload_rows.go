package postgres

import (
	"math"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

// begin starts a stream over, end completes it where it has rows.
func begin(b []byte) []byte { return append(b[:0], copyHeader...) }

func end(b []byte) []byte {
	if len(b) == len(copyHeader) {
		return b[:0]
	}
	return append(b, copyTrailer...)
}

const copyRecords = `
COPY heartbeat_records (event_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic)
FROM STDIN (FORMAT binary)`

func (p *payload) encodeRecords(readings []pipeline.Reading) {
	b := begin(p.records)
	for _, key := range p.normal {
		reading := &readings[uint32(key)]
		b = appendColumns(b, 6)
		b = appendTime(b, reading.Time)
		b = appendInt64(b, reading.Offset)
		b = appendInt16(b, int16(p.partition))
		b = appendInt16(b, int16(min(max(reading.BPM, math.MinInt16), math.MaxInt16)))
		b = appendCustomer(b, reading.Customer)
		b = appendBytes(b, p.log)
	}
	p.records = end(b)
}

const copyAnomalies = `
COPY heartbeat_anomalies (event_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic,
                          anomaly_type, raw_message)
FROM STDIN (FORMAT binary)`

func (p *payload) encodeAnomalies(readings []pipeline.Reading) {
	b := begin(p.anomalies)
	for _, key := range p.abnormal {
		reading := &readings[uint32(key)]
		b = appendColumns(b, 8)
		b = appendTime(b, reading.Time)
		b = appendInt64(b, reading.Offset)
		b = appendInt32(b, p.partition)
		b = appendInt32(b, int32(reading.BPM))
		b = appendCustomer(b, reading.Customer)
		b = appendBytes(b, p.log)
		b = appendBytes(b, reading.Class.String())
		b = appendBytes(b, reading.Raw)
	}
	p.anomalies = end(b)
}

const copyMetrics = `
COPY pipeline_metrics (metric_name, metric_value, metric_unit, event_timestamp, kafka_offset, kafka_partition, kafka_topic)
FROM STDIN (FORMAT binary)`

func (p *payload) encodeMetrics(batch *pipeline.Batch) {
	b := begin(p.metrics)
	for _, key := range p.abnormal {
		reading := &batch.Readings[uint32(key)]
		b = appendMetric(b, alertName(reading.Class), float64(reading.BPM), "bpm")
		b = appendTime(b, reading.Time)
		b = appendInt64(b, reading.Offset)
		b = appendInt32(b, p.partition)
		b = appendBytes(b, p.log)
	}
	if snapshot := batch.Snapshot; snapshot != nil {
		b = appendSnapshot(b, "valid_processed", snapshot.Valid)
		b = appendSnapshot(b, "anomaly_processed", snapshot.Anomalies)
		b = appendSnapshot(b, "errors", snapshot.Errors)
	}
	p.metrics = end(b)
}

func appendMetric(b []byte, name string, value float64, unit string) []byte {
	b = appendColumns(b, 7)
	b = appendBytes(b, name)
	b = appendFloat64(b, value)
	return appendBytes(b, unit)
}

// appendSnapshot appends a metric that belongs to no reading.
func appendSnapshot(b []byte, name string, count int64) []byte {
	b = appendMetric(b, name, float64(count), "records")
	for range 4 {
		b = appendNull(b)
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

const copyDeadLetters = `
COPY dead_letters (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, reason, detail, customer_id,
                   raw_key, raw_value, raw_length, raw_sha256)
FROM STDIN (FORMAT binary)`

func (p *payload) encodeDeadLetters(letters []heartbeat.DeadLetter) {
	b := begin(p.deadLetters)
	for i := range letters {
		letter := &letters[i]
		b = appendColumns(b, 11)
		b = appendBytes(b, p.log)
		b = appendInt32(b, p.partition)
		b = appendInt64(b, letter.Offset)
		if !letter.Timestamp.IsZero() && representable(letter.Timestamp) {
			b = appendTime(b, letter.Timestamp)
		} else {
			b = appendNull(b)
		}
		b = appendBytes(b, clean(string(letter.Reason)))
		b = appendBytes(b, clean(letter.Detail))
		if letter.Customer == "" {
			b = appendNull(b)
		} else {
			b = appendBytes(b, clean(letter.Customer))
		}
		b = appendOptional(b, letter.Key)
		b = appendOptional(b, letter.Value)
		b = appendInt64(b, int64(letter.Length))
		b = appendBytes(b, letter.SHA256[:])
	}
	p.deadLetters = end(b)
}
