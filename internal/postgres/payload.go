package postgres

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

// payload is a batch as the server reads it. Its buffers are used again and again, so that a row costs no allocation.
type payload struct {
	log       []byte // the label of the rows
	partition int32

	records, anomalies, metrics, deadLetters []byte // COPY streams, empty where there is no row

	recordCount, anomalyCount int64

	minutes   [8][]byte // arrays of addMinutes
	customers [5][]byte // arrays of putCustomers

	hasMinutes, hasCustomers bool

	normal, abnormal, states []uint64 // customer<<32 | index: sorted, they are the order of rows
	fleet                    fleetMinutes
}

func newPayload() *payload { return &payload{fleet: fleetMinutes{index: map[int64]int{}}} }

// maxIdleBuffer is the size beyond which a buffer is not kept for the next batch: one full of dead letters is rare.
const maxIdleBuffer = 4 << 20

// trim gives up what is too big to keep.
func (p *payload) trim() {
	for _, buffer := range [...]*[]byte{&p.records, &p.anomalies, &p.metrics, &p.deadLetters} {
		if cap(*buffer) > maxIdleBuffer {
			*buffer = nil
		}
	}
}

// encode makes p the payload of a batch.
func (p *payload) encode(log string, partition int32, batch *pipeline.Batch) {
	p.log = append(p.log[:0], log...)
	p.partition = partition
	p.order(batch)
	p.encodeRecords(batch.Readings)
	p.encodeAnomalies(batch.Readings)
	p.encodeMetrics(batch)
	p.encodeDeadLetters(batch.DeadLetters)
	if p.hasMinutes = len(batch.Readings) > 0; p.hasMinutes {
		p.fleet.encode(&p.minutes)
	}
	if p.hasCustomers = len(batch.Customers) > 0; p.hasCustomers {
		encodeCustomers(&p.customers, batch.Customers, p.states)
	}
}

// order sorts rows by customer, then offset: neighbours in the customer index go in together, which is worth a third
// of the write rate. It sums up the minutes on the way.
func (p *payload) order(batch *pipeline.Batch) {
	p.normal, p.abnormal, p.states = p.normal[:0], p.abnormal[:0], p.states[:0]
	p.fleet.reset()
	for i := range batch.Readings {
		reading := &batch.Readings[i]
		p.fleet.add(&reading.Reading)
		key := uint64(reading.Customer)<<32 | uint64(i)
		if reading.Class.Anomaly() {
			p.abnormal = append(p.abnormal, key)
		} else {
			p.normal = append(p.normal, key)
		}
	}
	for i := range batch.Customers {
		p.states = append(p.states, uint64(batch.Customers[i].Customer)<<32|uint64(i))
	}
	slices.Sort(p.normal)
	slices.Sort(p.abnormal)
	slices.Sort(p.states)
	p.recordCount, p.anomalyCount = int64(len(p.normal)), int64(len(p.abnormal))
}

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
		if representable(letter.Timestamp) {
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

// copyRows sends the rows, table by table.
func (p *payload) copyRows(ctx context.Context, conn *pgconn.PgConn) error {
	for _, table := range [...]struct {
		name, sql string
		rows      []byte
	}{
		{"heartbeat_records", copyRecords, p.records},
		{"heartbeat_anomalies", copyAnomalies, p.anomalies},
		{"pipeline_metrics", copyMetrics, p.metrics},
		{"dead_letters", copyDeadLetters, p.deadLetters},
	} {
		if len(table.rows) == 0 {
			continue
		}
		if _, err := conn.CopyFrom(ctx, bytes.NewReader(table.rows), table.sql); err != nil {
			return fmt.Errorf("copy into %s: %w", table.name, err)
		}
	}
	return nil
}
