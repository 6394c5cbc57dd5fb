package grafana_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/pgtest"
)

// classes are the anomalies in the order of shares.
var classes = [...]string{"BRADYCARDIA", "TACHYCARDIA", "INVALID"}

// defaultShares are the simulator's.
var defaultShares = [...]float64{0.995 * 0.025, 0.995 * 0.025, 0.005}

// traffic is the traffic of a fleet in one minute.
type traffic struct {
	silent bool       // nothing arrives
	shares [3]float64 // of the readings, by class
	device int        // additional INVALID readings of one device
}

// fleet writes the rows that a fleet's readings leave in the database, minute by minute.
type fleet struct {
	t         testing.TB
	pool      *pgxpool.Pool
	random    *rand.Rand
	rate      float64 // readings a second
	customers int
	stored    int64 // valid readings so far
	offset    int64
}

func newFleet(t testing.TB, rate float64) *fleet {
	t.Helper()
	pool := pgtest.Database(t)
	pgtest.Exec(t, pool, `
INSERT INTO ingest_progress (kafka_topic, partition, topic_id, topic_name, incarnation, first_offset, next_offset, state_from, fence, owner)
SELECT 'heartbeat-events', partition, gen_random_uuid(), 'heartbeat-events', 1, 0, 0, 0, 1, 'test/1'
  FROM generate_series(0, 2) AS partition`)
	return &fleet{t: t, pool: pool, random: rand.New(rand.NewPCG(7, uint64(rate))), rate: rate, customers: 10_000}
}

const (
	partitions   = 3
	faultyDevice = "CUST_04242"
	// sampled bounds the rows written for a minute: the last ones, more than the newest 5,000 anomalies that the rules read.
	sampled = 5500
)

// minute stores one minute of traffic.
func (f *fleet) minute(at time.Time, traffic traffic) {
	f.t.Helper()
	if traffic.silent {
		return
	}
	var counts [3]int64
	for i, share := range traffic.shares {
		counts[i] = f.poisson(f.rate * 60 * share)
	}
	valid := f.poisson(f.rate * 60 * (1 - traffic.shares[0] - traffic.shares[1] - traffic.shares[2]))
	f.rollUp(at, valid, counts, int64(traffic.device))
	f.rows(at, counts, traffic.device)
	f.snapshots(at, valid)
}

func (f *fleet) rollUp(at time.Time, valid int64, counts [3]int64, device int64) {
	f.t.Helper()
	for partition := range int64(partitions) {
		part := func(n int64) int64 { return n/partitions + min(max(n%partitions-partition, 0), 1) }
		invalid := part(counts[2])
		if partition == 0 {
			invalid += device
		}
		pgtest.Exec(f.t, f.pool, `
INSERT INTO fleet_minute (minute, kafka_topic, kafka_partition, valid_count, bpm_sum, bpm_min, bpm_max,
                          bradycardia_count, tachycardia_count, invalid_count)
VALUES ($1, 'heartbeat-events', $2, $3::bigint, $3::bigint * 75, 40, 140, $4, $5, $6)`,
			at, partition, part(valid), part(counts[0]), part(counts[1]), invalid)
	}
}

// rows stores the anomalies, and the valid readings of a faulty device.
func (f *fleet) rows(at time.Time, counts [3]int64, device int) {
	f.t.Helper()
	portion := min(1, sampled/float64(counts[0]+counts[1]+counts[2]+int64(device)))
	span := time.Duration(portion * float64(time.Minute))
	begin := at.Add(time.Minute - span)
	within := func() time.Time { return begin.Add(time.Duration(f.random.Int64N(int64(span)))) }
	var rows [][]any
	add := func(class, customer string) {
		f.offset++
		rows = append(rows, []any{customer, 0, class, within(), "heartbeat-events", 0, f.offset, "{}"})
	}
	for i, class := range classes {
		for range int(float64(counts[i]) * portion) {
			add(class, fmt.Sprintf("CUST_%05d", 1+f.random.IntN(f.customers)))
		}
	}
	for range int(float64(device) * portion) {
		add("INVALID", faultyDevice)
	}
	columns := []string{"customer_id", "heart_rate", "anomaly_type", "event_timestamp", "kafka_topic", "kafka_partition", "kafka_offset", "raw_message"}
	_, err := f.pool.CopyFrom(context.Background(), pgx.Identifier{"heartbeat_anomalies"}, columns, pgx.CopyFromRows(rows))
	if err != nil {
		f.t.Fatal(err)
	}
	// The faulty device sends one valid reading in ten.
	pgtest.Exec(f.t, f.pool, `
INSERT INTO heartbeat_records (customer_id, heart_rate, event_timestamp, kafka_topic, kafka_partition, kafka_offset)
SELECT $1, 70, $2::timestamptz + n * interval '1 second', 'heartbeat-events', 0, n
  FROM generate_series(1, $3::integer) AS n`, faultyDevice, begin, int(float64(device)*portion/10))
}

// snapshots stores the consumer's statistics.
func (f *fleet) snapshots(at time.Time, valid int64) {
	f.t.Helper()
	pgtest.Exec(f.t, f.pool, `
INSERT INTO pipeline_metrics (metric_name, metric_value, metric_unit, recorded_at)
SELECT 'valid_processed', $1::bigint + $2::bigint * step / 6, 'records', $3::timestamptz + step * interval '10 seconds'
  FROM generate_series(0, 5) AS step`, f.stored, valid, at)
	f.stored += valid
}

// poisson draws a number of events with the given mean; a large one from the normal distribution, which is close to it.
func (f *fleet) poisson(mean float64) int64 {
	if mean > 500 {
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*f.random.NormFloat64())))
	}
	n, product := int64(-1), 1.0
	for limit := math.Exp(-mean); product > limit; n++ {
		product *= f.random.Float64()
	}
	return n
}
