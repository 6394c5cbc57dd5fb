package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/app"
	"heartbeat/internal/postgres/pgtest"
)

const manyAlarms = 10_000

func insertManyAlarms(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	pgtest.Exec(t, pool, fmt.Sprintf(`
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at,
                    value, peak, "limit", kafka_topic, kafka_partition, kafka_offset, episode_first_offset)
SELECT gen_random_uuid(), 1, 'CUST_' || lpad(n::text, 5, '0'), 'rate_high', priority, priority, true, at, at, at, 195, 199, 180, 'log', 0, n, n
  FROM generate_series(1, %d) AS n, LATERAL (SELECT now() - n * interval '1 second' AS at,
       (ARRAY['low', 'medium', 'high'])[1 + n %% 3]::alarm_priority AS priority) AS one`, manyAlarms))
	pgtest.Exec(t, pool, fmt.Sprintf(`
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    value, peak, "limit", kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT gen_random_uuid(), 2, 'CUST_' || lpad(n::text, 5, '0'), 'rate_low', 'low', 'low', false, at, at, at, at, at, 35, 33, 40, 'log', 0, n, n, n
  FROM generate_series(1, %d) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS one`, 3*manyAlarms))
	pgtest.Exec(t, pool, `ANALYZE alarms`)
}

// viewer reads the changes of alarms that a console sends.
type viewer struct {
	changes chan change
}

type change struct {
	Reset bool    `json:"reset"`
	Total int     `json:"total"`
	Open  []shown `json:"open"`
}

type shown struct {
	ID string `json:"alarm_id"`
	By string `json:"acknowledged_by"`
}

func view(t *testing.T, url string) *viewer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	v := &viewer{changes: make(chan change, 100)}
	go func() {
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 64<<20)
		alarms := false
		for lines.Scan() {
			text := lines.Text()
			if name, ok := strings.CutPrefix(text, "event: "); ok {
				alarms = name == "alarms"
			}
			data, ok := strings.CutPrefix(text, "data: ")
			if !ok || !alarms {
				continue
			}
			var c change
			if err := json.Unmarshal([]byte(data), &c); err == nil {
				v.changes <- c
			}
		}
		close(v.changes)
	}()
	return v
}

// awaitAtMost is no measurement: a busy machine takes minutes for 10,000 alarms with the race detector.
const awaitAtMost = 5 * time.Minute

// await returns once the viewer sees a change.
func (v *viewer) await(t *testing.T, what string, wanted func(change) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), awaitAtMost)
	defer cancel()
	for {
		select {
		case c, open := <-v.changes:
			if !open {
				t.Fatalf("the stream ended before %s", what)
			}
			if wanted(c) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", awaitAtMost, what)
		}
	}
}

// With 10,000 open alarms, and more that are closed, the pages of the list stay fast, and what one client does reaches another within a
// second. The bounds are for medians, because other tests run on the same processors.
func TestTenThousandOpenAlarms(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	insertManyAlarms(t, pool)
	url, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	all := []*viewer{view(t, url), view(t, url)}
	for _, v := range all {
		seen := 0
		v.await(t, "all alarms", func(c change) bool {
			if c.Reset {
				seen = 0
			}
			seen += len(c.Open)
			return seen == manyAlarms && c.Total == manyAlarms
		})
	}

	const limit = time.Second // 100 ms on an idle machine without the race detector, which the log shows
	times := pageTimes(t, url)
	t.Logf("a page of the list: median %v, p95 %v", times[len(times)/2], times[len(times)*95/100])
	if median := times[len(times)/2]; median > limit {
		t.Errorf("a page of the list takes %v in the median, want less than %v", median, limit)
	}

	const screen = 5 * time.Second // 1 s on an idle machine
	var delays []time.Duration
	rows := pgtest.Value[[]string](t, pool, `SELECT array_agg(alarm_id::text) FROM (SELECT alarm_id FROM alarms WHERE closed_at IS NULL LIMIT 9) AS first`)
	for _, id := range rows {
		began := time.Now()
		if status, text, _ := ask(t, http.MethodPost, url+"/api/v1/alarms/"+id+"/ack", `{}`, nil); status != http.StatusOK {
			t.Fatalf("the acknowledgement got %d %s", status, text)
		}
		for _, v := range all {
			v.await(t, "an acknowledgement", func(c change) bool {
				return slices.Contains(c.Open, shown{ID: id, By: "local"})
			})
		}
		delays = append(delays, time.Since(began))
	}
	slices.Sort(delays)
	t.Logf("from an action to the screens of two others: median %v, longest %v", delays[len(delays)/2], delays[len(delays)-1])
	if delays[len(delays)/2] > screen {
		t.Errorf("an action reaches another client after %v in the median, want %v", delays[len(delays)/2], screen)
	}
}

// pageTimes reads the whole list page by page and returns the times in order.
func pageTimes(t *testing.T, url string) []time.Duration {
	t.Helper()
	var times []time.Duration
	seen := map[string]bool{}
	after := ""
	for {
		began := time.Now()
		status, text, _ := ask(t, http.MethodGet, url+"/api/v1/alarms?limit=100"+after, "", nil)
		times = append(times, time.Since(began))
		var page struct {
			Alarms []struct {
				ID string `json:"alarm_id"`
			} `json:"alarms"`
			Next *string `json:"next"`
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("a page of the list got %d, %v", status, err)
		}
		for _, a := range page.Alarms {
			seen[a.ID] = true
		}
		if page.Next == nil {
			break
		}
		after = "&after=" + *page.Next
	}
	if len(seen) != manyAlarms {
		t.Errorf("the pages have %d alarms, want %d", len(seen), manyAlarms)
	}
	slices.Sort(times)
	return times
}
