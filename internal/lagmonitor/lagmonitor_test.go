package lagmonitor

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/postgres/pgtest"
)

func TestLagMonitorStoresTheLargestLag(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	began := time.Now()
	m := &Monitor{pool: pool, due: began.Add(recordEvery)}
	for _, look := range []struct {
		after time.Duration
		lag   int64
	}{
		{recordEvery / 2, 70}, {recordEvery - 1, 900}, {recordEvery, 3}, // the first minute
		{recordEvery + 1, 5}, {2 * recordEvery, 4}, // the second
		{2*recordEvery + 1, 1000}, // not over yet
	} {
		if err := m.record(t.Context(), began.Add(look.after), look.lag); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := pool.Query(t.Context(), `SELECT metric_value FROM pipeline_metrics WHERE metric_name = 'consumer_lag' AND metric_unit = 'offsets' ORDER BY recorded_at`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if want := []float64{900, 5}; err != nil || !slices.Equal(got, want) {
		t.Errorf("lag by minute is %v, %v; want %v", got, err, want)
	}
}
