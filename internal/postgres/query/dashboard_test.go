package query_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
	"heartbeat/internal/readmodel"
)

// newDashboard returns a Dashboard over twenty readings of two customers: a reading a second of each in turn from begin on,
// every fifth an anomaly, and a dead letter at the end.
func newDashboard(t *testing.T, begin time.Time) *query.Dashboard {
	t.Helper()
	store, pool := pgtest.NewStore(t)
	claim := pgtest.MustClaim(t, store, pgtest.Partition, 0)
	var all []pipeline.Reading
	for offset := range int64(20) {
		rate := 60 + float64(offset)
		switch offset % 15 {
		case 4:
			rate = 200
		case 9:
			rate = 30
		case 14:
			rate = 0
		}
		all = append(all, pgtest.Reading(offset, heartbeat.CustomerID(1+offset%2), rate, begin.Add(time.Duration(offset)*time.Second)))
	}
	batch := pgtest.BatchOf(all)
	batch.To++
	batch.DeadLetters = []heartbeat.DeadLetter{pgtest.DeadLetter(20, heartbeat.NotJSON, "not JSON at byte 1", []byte("{{{"))}
	for _, last := range all[18:] {
		batch.Customers = append(batch.Customers, pipeline.CustomerState{Reading: last.Reading, Offset: last.Offset})
	}
	pgtest.MustWrite(t, store, claim, batch)
	return query.NewDashboard(pool)
}

func TestTotalsAreThoseOfTheTables(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, time.Now().Add(-2*time.Minute).Truncate(time.Microsecond))
	got, err := dashboard.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.DatabaseBytes <= 0 {
		t.Errorf("the database has %d bytes", got.DatabaseBytes)
	}
	got.DatabaseBytes = 0
	want := readmodel.Totals{Valid: 16, Anomalies: 4, RecentAnomalies: 4, DeadLetters: 1, PendingLetters: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	if active, err := dashboard.ActiveCustomers(t.Context()); err != nil || active != 2 {
		t.Errorf("active customers: %d, %v; want 2", active, err)
	}
}

func TestRecentAnomaliesAreCountedToTheSecond(t *testing.T) {
	t.Parallel()
	// The anomalies lie 4, 9, 14 and 19 s after the first reading: ten seconds over the limit leaves the last two.
	dashboard := newDashboard(t, time.Now().Add(-5*time.Minute-11*time.Second).Truncate(time.Microsecond))
	got, err := dashboard.Totals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.RecentAnomalies < 1 || got.RecentAnomalies > 2 { // a slow machine may lose one more
		t.Errorf("%d anomalies in the last five minutes, want 2", got.RecentAnomalies)
	}
}

func TestAnomaliesArePagedNewestFirst(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, pgtest.Noon)
	var offsets []int64
	query := readmodel.AnomalyQuery{Limit: 1}
	for range 10 {
		page, err := dashboard.Anomalies(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		offsets = append(offsets, page[0].Offset)
		query.Before, query.BeforeID = page[0].EventTime, page[0].ID
	}
	if want := []int64{19, 14, 9, 4}; !slices.Equal(offsets, want) {
		t.Errorf("the pages hold the anomalies of offsets %v, want %v", offsets, want)
	}
	all, err := dashboard.Anomalies(t.Context(), readmodel.AnomalyQuery{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, anomaly := range all {
		own := slices.DeleteFunc(slices.Clone(all), func(other readmodel.Anomaly) bool { return other.Customer != anomaly.Customer })
		for i, want := range own {
			query := readmodel.AnomalyQuery{Limit: 1, Customer: anomaly.Customer}
			if i > 0 {
				query.Before, query.BeforeID = own[i-1].EventTime, own[i-1].ID
			}
			if page, err := dashboard.Anomalies(t.Context(), query); err != nil || len(page) != 1 || page[0] != want {
				t.Errorf("page %d of %s: %+v, %v; want %+v", i, anomaly.Customer, page, err, want)
			}
		}
	}
	page, err := dashboard.Anomalies(t.Context(), readmodel.AnomalyQuery{Limit: 10, Customer: "CUST_00001", Type: "TACHYCARDIA"})
	if err != nil || len(page) != 1 || page[0].Offset != 4 || page[0].BPM != 200 {
		t.Errorf("tachycardia of CUST_00001: %+v, %v; want offset 4 alone", page, err)
	}
}

func TestFleetIsTheNewestReadingOfEverybody(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, pgtest.Noon)
	got, err := dashboard.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b heartbeat.Reading) int { return int(a.Customer) - int(b.Customer) })
	want := []heartbeat.Reading{
		{Customer: 1, Class: heartbeat.Normal, BPM: 78, Time: pgtest.Noon.Add(18 * time.Second)},
		{Customer: 2, Class: heartbeat.Tachycardia, BPM: 200, Time: pgtest.Noon.Add(19 * time.Second)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fleet (-want +got):\n%s", diff)
	}
	one, err := dashboard.Customer(t.Context(), "CUST_00002")
	if err != nil || one.BPM != 200 || one.Class != "TACHYCARDIA" {
		t.Errorf("CUST_00002 is %+v, %v", one, err)
	}
	if _, err := dashboard.Customer(t.Context(), "CUST_00003"); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("a customer never seen: %v, want readmodel.ErrNotFound", err)
	}
}

func TestTrendSumsUpTheRollup(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, pgtest.Noon.Truncate(time.Minute).Add(50*time.Second)) // ten readings in each of two minutes
	first := pgtest.Noon.Truncate(time.Minute)
	got, err := dashboard.Trend(t.Context(), readmodel.Span{From: first, To: first.Add(time.Hour), Step: time.Minute})
	if err != nil || len(got) != 2 {
		t.Fatalf("trend by minute: %+v, %v; want two steps", got, err)
	}
	if b := got[0]; !b.At.Equal(first) || b.Valid != 8 || b.Tachycardia != 1 || b.Bradycardia != 1 || *b.Min != 60 || *b.Max != 68 || *b.Avg != 64 {
		t.Errorf("first minute: %+v, average %v from %v to %v", b, *b.Avg, *b.Min, *b.Max)
	}
	if b := got[1]; b.LatencyP50 == nil || *b.LatencyP50 < time.Hour.Seconds() || *b.LatencyP95 < *b.LatencyP50 {
		t.Errorf("latency of readings of long ago: p50 %v, p95 %v", b.LatencyP50, b.LatencyP95)
	}
	got, err = dashboard.Trend(t.Context(), readmodel.Span{From: first, To: first.Add(time.Hour), Step: 5 * time.Minute})
	if err != nil || len(got) != 1 || got[0].Valid != 16 {
		t.Errorf("trend by five minutes: %+v, %v; want one step of 16", got, err)
	}
}

func TestLagIsTheLargestWrittenDown(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	dashboard := query.NewDashboard(pool)
	for _, lag := range []int64{5, 900, 7} {
		if err := ingest.RecordLag(t.Context(), pool, lag); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Exec(t, pool, `UPDATE pipeline_metrics SET recorded_at = recorded_at - interval '30 minutes' WHERE metric_value = 7`)
	now := time.Now()
	got, err := dashboard.Lag(t.Context(), readmodel.Span{From: now.Add(-time.Hour), To: now.Add(time.Minute), Step: 5 * time.Minute})
	if err != nil || len(got) < 2 || got[0].Offsets != 7 || !slices.ContainsFunc(got[1:], func(l readmodel.Lag) bool { return l.Offsets == 900 }) {
		t.Errorf("lag by five minutes: %+v, %v; want 7 and, half an hour later, 900", got, err)
	}
}

func TestTraceIsTheNewestOfTheStretch(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, pgtest.Noon)
	all := readmodel.Trace{Customer: "CUST_00001", From: pgtest.Noon, To: pgtest.Noon.Add(time.Minute), Limit: 100}
	got, err := dashboard.Trace(t.Context(), all)
	if err != nil || len(got) != 10 || got[0].BPM != 78 || got[7].Class != "TACHYCARDIA" {
		t.Fatalf("trace: %+v, %v; want ten readings, newest first, with the anomalies in their places", got, err)
	}
	all.Limit, all.To = 3, pgtest.Noon.Add(10*time.Second)
	got, err = dashboard.Trace(t.Context(), all)
	if err != nil || len(got) != 3 || got[0].BPM != 68 {
		t.Errorf("three before the tenth second: %+v, %v", got, err)
	}
	minutes, err := dashboard.Minutes(t.Context(), "CUST_00001", readmodel.Span{From: pgtest.Noon, To: pgtest.Noon.Add(time.Minute), Step: time.Minute})
	if err != nil || len(minutes) != 1 || minutes[0].Count != 8 || minutes[0].Anomalies != 2 || *minutes[0].Min != 60 || *minutes[0].Max != 78 {
		t.Errorf("minutes: %+v, %v; want one with eight normal readings and two anomalies", minutes, err)
	}
}

func TestProgressAccountsForEveryOffset(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, pgtest.Noon)
	got, err := dashboard.Progress(t.Context())
	if err != nil || len(got) != 1 {
		t.Fatalf("progress: %+v, %v", got, err)
	}
	got[0].UpdatedAt = nil
	want := progress.Stored{TopicID: pgtest.Partition.TopicID, Log: topic, Topic: topic, Partition: 2, Next: 21, Records: 16, Anomalies: 4, DeadLettered: 1, Owner: "test"}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

func TestDeadLettersAreListedAndShown(t *testing.T) {
	t.Parallel()
	dashboard := newDashboard(t, pgtest.Noon)
	for query, want := range map[readmodel.DeadLetterQuery]int{
		{Limit: 10}: 1, {Limit: 10, Reason: "not_json", Pending: true}: 1, {Limit: 10, Reason: "empty"}: 0, {Limit: 10, Before: 1}: 0,
		{Limit: 10, Before: 1 << 31}: 1, {Limit: 10, Before: math.MaxInt64}: 1,
	} {
		if got, err := dashboard.DeadLetters(t.Context(), query); err != nil || len(got) != want {
			t.Errorf("%+v: %d dead letters, %v; want %d", query, len(got), err, want)
		}
	}
	reasons, err := dashboard.Reasons(t.Context())
	if err != nil || !slices.Equal(reasons, []readmodel.ReasonCount{{Reason: "not_json", Total: 1, Pending: 1}}) {
		t.Errorf("reasons: %+v, %v", reasons, err)
	}
	letters, err := dashboard.DeadLetters(t.Context(), readmodel.DeadLetterQuery{Limit: 1})
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters: %+v, %v", letters, err)
	}
	letter, err := dashboard.DeadLetter(t.Context(), letters[0].ID)
	if err != nil || string(letter.Value) != "{{{" || len(letter.SHA256) != 64 || letter.Length != 3 {
		t.Errorf("the dead letter is %+v, %v", letter, err)
	}
	if _, err := dashboard.DeadLetter(t.Context(), 999); !errors.Is(err, readmodel.ErrNotFound) {
		t.Errorf("a dead letter that is not there: %v, want readmodel.ErrNotFound", err)
	}
}

func TestTablesHaveBoundsAndSizes(t *testing.T) {
	t.Parallel()
	tables, err := newDashboard(t, pgtest.Noon).Tables(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(tables, func(table readmodel.Table) bool { return table.Name == "heartbeat_records_history" })
	if i < 0 || tables[i].From != nil || tables[i].To == nil || tables[i].Bytes == 0 {
		t.Errorf("the history partition is %+v among %d", tables[max(i, 0)], len(tables))
	}
	if incidents, err := newDashboard(t, pgtest.Noon).Incidents(t.Context(), 10); err != nil || len(incidents) != 0 {
		t.Errorf("incidents: %+v, %v; want none", incidents, err)
	}
}
