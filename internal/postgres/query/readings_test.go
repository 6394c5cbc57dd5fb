package query_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/readmodel"
)

// storeDays stores readings of two customers in two partitions: eight on each of three days, every fourth one an anomaly. In each pair two
// readings of a customer have the same event time.
func storeDays(t *testing.T) *pgxpool.Pool {
	t.Helper()
	store, pool := pgtest.NewStore(t)
	for _, partition := range []int32{1, 2} {
		key := pgtest.Partition
		key.Number = partition
		claim := pgtest.MustClaim(t, store, key, 0)
		var all []pipeline.Reading
		for offset := range int64(24) {
			rate := 60 + float64(offset)
			if offset%4 == 3 {
				rate = 30
			}
			at := pgtest.Noon.AddDate(0, 0, int(offset/8)).Add(time.Duration(offset/2) * time.Minute)
			all = append(all, pgtest.Reading(offset, heartbeat.CustomerID(partition), rate, at))
		}
		pgtest.MustWrite(t, store, claim, pgtest.BatchOf(all))
	}
	return pool
}

func texts(readings []readmodel.Reading) []string {
	var all []string
	for _, r := range readings {
		all = append(all, fmt.Sprintf("%s %s %d %s %s/%d/%d", r.EventTime.UTC().Format(time.RFC3339Nano), r.Customer, r.BPM, r.Class, r.Topic, r.Partition, r.Offset))
	}
	return all
}

const readingTexts = `SELECT to_char(event_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), customer_id, heart_rate, class, kafka_topic || '/' || kafka_partition || '/' || kafka_offset
  FROM (SELECT *, 'NORMAL' AS class FROM heartbeat_records
        UNION ALL SELECT NULL, event_timestamp, ingestion_timestamp, kafka_offset, kafka_partition, heart_rate, customer_id, kafka_topic, anomaly_type FROM heartbeat_anomalies) AS reading `

func TestPagesJoinWithoutGapOrOverlap(t *testing.T) {
	t.Parallel()
	pool := storeDays(t)
	readings := query.NewReadings(pool)
	for _, limit := range []int{1, 2, 3, 5, 100} {
		var got []readmodel.Reading
		page := readmodel.Page{Customer: "CUST_00001", From: pgtest.Noon, To: pgtest.Noon.AddDate(0, 0, 3), Limit: limit}
		for {
			some, err := readings.Page(t.Context(), page)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, some...)
			if len(some) < limit {
				break
			}
			page.After = &some[limit-1]
		}
		pgtest.WantRows(t, pool, readingTexts+`WHERE customer_id = 'CUST_00001' ORDER BY event_timestamp, kafka_offset`, texts(got)...)
	}
}

func TestPageKeepsToItsTime(t *testing.T) {
	t.Parallel()
	readings := query.NewReadings(storeDays(t))
	page := readmodel.Page{Customer: "CUST_00002", From: pgtest.Noon.Add(time.Minute), To: pgtest.Noon.Add(3 * time.Minute), Limit: 100}
	got, err := readings.Page(t.Context(), page)
	if err != nil || len(got) != 4 || got[0].Offset != 2 || got[3].Offset != 5 {
		t.Errorf("two minutes hold %v, %v; want offsets 2 to 5", texts(got), err)
	}
}

func TestDayHasEveryReadingInOrder(t *testing.T) {
	t.Parallel()
	pool := storeDays(t)
	readings := query.NewReadings(pool)
	for name, customers := range map[string][]string{"": nil, " AND customer_id = 'CUST_00002'": {"CUST_00002", "CUST_00099"}} {
		var got []readmodel.Reading
		err := readings.Day(t.Context(), customers, pgtest.Noon, pgtest.Noon.AddDate(0, 0, 1), func(r *readmodel.Reading) error {
			got = append(got, *r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		pgtest.WantRows(t, pool, readingTexts+fmt.Sprintf(`WHERE event_timestamp < '%s'%s ORDER BY kafka_partition, customer_id, event_timestamp, kafka_offset`,
			pgtest.Noon.AddDate(0, 0, 1).Format(time.RFC3339), name), texts(got)...)
	}
}

func TestDaysAreThoseWithReadings(t *testing.T) {
	t.Parallel()
	pool := storeDays(t)
	readings := query.NewReadings(pool)
	first := pgtest.Noon.Truncate(24 * time.Hour)
	all := []time.Time{first, first.AddDate(0, 0, 1), first.AddDate(0, 0, 2)}
	end := pgtest.Noon.AddDate(0, 0, 10)
	check := func(what string, from, to time.Time, want ...time.Time) {
		t.Helper()
		got, err := readings.Days(t.Context(), from, to)
		if err != nil || !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("%s: days are %v, %v; want %v", what, got, err, want)
		}
	}
	check("all", time.Time{}.AddDate(1999, 0, 0), end, all...)
	check("from within the last minute of the second", pgtest.Noon.AddDate(0, 0, 1).Add(7*time.Minute+30*time.Second), end, all[1:]...)
	check("before the second", first, first.AddDate(0, 0, 1), all[0])
	check("none", end, end.AddDate(0, 0, 1))
	// Retention forgets the minutes along with normal readings.
	pgtest.Exec(t, pool, `DELETE FROM fleet_minute WHERE minute < $1`, first.AddDate(0, 0, 2))
	check("anomalies older than every normal reading", first, end, all...)
}

func TestKnownCustomersHaveAReading(t *testing.T) {
	t.Parallel()
	pool := storeDays(t)
	readings := query.NewReadings(pool)
	for customer, want := range map[string]bool{"CUST_00001": true, "CUST_00003": false} {
		if got, err := readings.Known(t.Context(), customer); err != nil || got != want {
			t.Errorf("%s is known: %v, %v; want %v", customer, got, err, want)
		}
	}
}

func TestCohortHasItsMembersOfNow(t *testing.T) {
	t.Parallel()
	_, pool := pgtest.NewStore(t)
	pgtest.Exec(t, pool, `ALTER TABLE cohort_members DISABLE TRIGGER cohort_members_not_in_the_past`)
	pgtest.Exec(t, pool, `INSERT INTO cohort_members (customer_id, cohort, author, effective_from) VALUES
		('CUST_00001', 'ward', 'anna', now() - interval '2 hours'), ('CUST_00001', '', 'anna', now() - interval '1 hour'),
		('CUST_00002', 'other', 'anna', now() - interval '2 hours'), ('CUST_00002', 'ward', 'anna', now() - interval '1 hour'),
		('CUST_00003', 'ward', 'anna', now() + interval '1 hour')`)
	got, err := query.NewReadings(pool).Cohort(t.Context(), "ward")
	if err != nil || !slices.Equal(got, []string{"CUST_00002"}) {
		t.Errorf("in the ward are %v, %v; want CUST_00002, the one who has not left and has arrived", got, err)
	}
}

func TestDashboardRoleMayExport(t *testing.T) {
	t.Parallel()
	pool := storeDays(t)
	if err := schema.ApplyRoles(t.Context(), pool, map[schema.Role]string{schema.DashboardRole: "dashboard"}); err != nil {
		t.Fatal(err)
	}
	readings := query.NewReadings(pgtest.SignIn(t, pool, string(schema.DashboardRole), "dashboard"))
	visited := 0
	end := pgtest.Noon.AddDate(0, 0, 3)
	days, err := readings.Days(t.Context(), pgtest.Noon, end)
	known, knownErr := readings.Known(t.Context(), "CUST_00001")
	_, cohortErr := readings.Cohort(t.Context(), "ward")
	page, pageErr := readings.Page(t.Context(), readmodel.Page{Customer: "CUST_00001", From: pgtest.Noon, To: end, Limit: 5})
	dayErr := readings.Day(t.Context(), nil, pgtest.Noon, end, func(*readmodel.Reading) error { visited++; return nil })
	if err := errors.Join(err, knownErr, cohortErr, pageErr, dayErr); err != nil || len(days) != 3 || !known || len(page) != 5 || visited != 48 {
		t.Errorf("%d days, known %v, a page of %d, %d readings, %v; want 3, true, 5, 48", len(days), known, len(page), visited, err)
	}
}
