package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
)

// Whatever batches come, the rollup is what a query over the rows would say.
func TestRollupsAreWhatTheRowsSay(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	topics := 0
	rapid.Check(t, func(rt *rapid.T) {
		topics++ // a log of its own for each run
		p := pipeline.Partition{Topic: fmt.Sprintf("topic-%d", topics), Number: rapid.Int32Range(0, 2).Draw(rt, "partition")}
		claim := pgtest.MustClaim(t, store, p, 0)
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			batch := drawBatch(rt, claim.Next)
			pgtest.MustWrite(t, store, claim, batch)
			claim.Next = batch.To
		}
		if odd := oddMinutes(t, pool, claim.Log); odd != 0 {
			rt.Errorf("%d minutes of %s differ from the rows", odd, claim.Log)
		}
	})
	pgtest.WantSummaryIsExact(t, pool)
	pgtest.WantNothingTwice(t, pool)
}

func drawBatch(rt *rapid.T, from int64) *pipeline.Batch {
	rate := rapid.OneOf(rapid.Float64Range(40, 180), rapid.Float64Range(-10, 500), rapid.SampledFrom([]float64{0, 39.9, 40, 180, 180.1, 300, 1e300}))
	batch := &pipeline.Batch{From: from, To: from}
	for range rapid.IntRange(1, 30).Draw(rt, "readings") {
		// Around the turn of a minute, an hour and an age, where rounding goes wrong.
		base := rapid.SampledFrom([]time.Time{pgtest.Noon, pgtest.Noon.Truncate(time.Hour), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}).Draw(rt, "base")
		at := base.Add(time.Duration(rapid.Int64Range(-90e6, 90e6).Draw(rt, "microseconds")) * time.Microsecond)
		customer := heartbeat.CustomerID(rapid.IntRange(1, 5).Draw(rt, "customer"))
		batch.Readings = append(batch.Readings, pgtest.Reading(batch.To, customer, rate.Draw(rt, "rate"), at))
		batch.To++
	}
	return batch
}

// oddMinutes counts the minutes of a log whose rollup is not what its rows say.
func oddMinutes(t testing.TB, pool *pgxpool.Pool, log string) int {
	t.Helper()
	return pgtest.Value[int](t, pool, `
WITH reading AS (
    SELECT event_timestamp, kafka_partition::integer, heart_rate::integer, 'NORMAL' AS class FROM heartbeat_records WHERE kafka_topic = $1
    UNION ALL
    SELECT event_timestamp, kafka_partition, heart_rate, anomaly_type FROM heartbeat_anomalies WHERE kafka_topic = $1
), recomputed AS (
    SELECT date_trunc('minute', event_timestamp), $1::text, kafka_partition,
           count(*) FILTER (WHERE class = 'NORMAL'),
           coalesce(sum(heart_rate) FILTER (WHERE class = 'NORMAL'), 0),
           min(heart_rate) FILTER (WHERE class = 'NORMAL'),
           max(heart_rate) FILTER (WHERE class = 'NORMAL'),
           count(*) FILTER (WHERE class = 'BRADYCARDIA'),
           count(*) FILTER (WHERE class = 'TACHYCARDIA'),
           count(*) FILTER (WHERE class = 'INVALID')
      FROM reading
     GROUP BY 1, 2, 3
), kept AS (SELECT * FROM fleet_minute WHERE kafka_topic = $1)
SELECT count(*) FROM ((TABLE recomputed EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE recomputed)) AS odd`, log)
}

func TestCustomerStateIsTheLatestReading(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	put := func(offset int64, rate float64, at time.Time) {
		t.Helper()
		state := pipeline.CustomerState{Reading: pgtest.Reading(0, 7, rate, at).Reading, Offset: offset}
		pgtest.MustWrite(t, store, claim, &pipeline.Batch{Customers: []pipeline.CustomerState{state}})
	}
	want := func(row string) {
		t.Helper()
		pgtest.WantRows(t, pool, `SELECT heart_rate, class, kafka_offset FROM customer_state`, row)
	}
	put(5, 75, pgtest.Noon)
	want(`75 NORMAL 5`)
	put(4, 80, pgtest.Noon) // as old, and before it in the log
	want(`75 NORMAL 5`)
	put(9, 20, pgtest.Noon.Add(-time.Microsecond)) // told late
	want(`75 NORMAL 5`)
	put(6, 85, pgtest.Noon) // as old, and behind it in the log
	want(`85 NORMAL 6`)
	put(6, 85, pgtest.Noon) // told again
	want(`85 NORMAL 6`)
	put(7, 250, pgtest.Noon.Add(time.Second))
	want(`250 TACHYCARDIA 7`)
}

// Two workers that hold states of the same customers lock them in one order.
func TestCustomerStatesOfTwoWorkersDoNotDeadlock(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	const customers, rounds = 500, 20
	done := make(chan error, 2)
	for worker := range int32(2) {
		claim := pgtest.MustClaim(t, store, number(pgtest.Partition, worker), 0)
		go func() {
			states := make([]pipeline.CustomerState, customers)
			for i := range states {
				id := i
				if worker == 1 {
					id = customers - 1 - i
				}
				states[i].Reading = pgtest.Reading(0, heartbeat.CustomerID(id), 75, pgtest.Noon).Reading
			}
			for range rounds {
				if err := store.Write(t.Context(), claim, &pipeline.Batch{Customers: states}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := pgtest.Count(t, pool, "customer_state"); n != customers {
		t.Errorf("%d customer states, want %d", n, customers)
	}
}
