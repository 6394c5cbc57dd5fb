package notifier

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/pgwire"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver verifies with the published library, keeps what it has taken, and answers as the test wants.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	answer func(id string, attempt int) int

	mu       sync.Mutex
	attempts map[string]int
	bodies   map[string]string
	taken    []string // types, in order
}

func newReceiver(t *testing.T, answer func(id string, attempt int) int) *receiver {
	r := &receiver{t: t, answer: answer, attempts: map[string]int{}, bodies: map[string]string{}}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		id := request.Header.Get("webhook-id")
		if err := verifier.VerifyIgnoringTimestamp(body, request.Header); err != nil { // the test's clock runs ahead
			t.Errorf("message %s: %v", id, err)
		}
		var message struct {
			Type string
			Data struct {
				AlarmID string `json:"alarm_id"`
				Events  []string
			}
		}
		if err := json.Unmarshal(body, &message); err != nil {
			t.Errorf("message %s: %v", id, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if before, known := r.bodies[id]; known && before != string(body) {
			t.Errorf("message %s was sent with other bytes:\n%s\n%s", id, before, body)
		}
		r.bodies[id] = string(body)
		r.attempts[id]++
		code := r.answer(id, r.attempts[id])
		if code == 200 {
			r.taken = append(r.taken, message.Type)
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) types() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.taken, " ")
}

// clock is the database's, moved ahead by the test.
type clock struct {
	store *alarmstore.Store
	ahead atomic.Int64
}

func (c *clock) now(ctx context.Context) (time.Time, error) {
	now, err := c.store.Now(ctx)
	return now.Add(time.Duration(c.ahead.Load())), err
}

// await moves the clock until the condition holds. It stands while an attempt is on its way, whose lease would end.
func (c *clock) await(t *testing.T, pool *pgxpool.Pool, what string, condition func() bool) {
	t.Helper()
	pgtest.Await(t, what, func() bool {
		if pgtest.Value[int](t, pool, `SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL`) == 0 {
			c.ahead.Add(int64(200 * time.Millisecond))
		}
		return condition()
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func webhookFile(url string) string {
	return `
destinations: {ward: {webhook: {url: "` + url + `", secrets: [{variable: WARD_SECRET}], allow: [127.0.0.1]}}}
routes: [{to: [ward]}]
`
}

// start runs a notifier until the test ends or it is stopped.
func start(t *testing.T, options Options) (stop func(), role *Notifier) {
	t.Helper()
	options.Logger = slog.New(slog.DiscardHandler)
	if options.Registry == nil {
		options.Registry = prometheus.NewRegistry()
	}
	role, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- role.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the notifier ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop, role
}

func apply(t *testing.T, pool *pgxpool.Pool, id alarm.ID, kind alarm.Kind, offset int64) {
	t.Helper()
	applyTo(t, pool, "CUST_00001", id, kind, offset)
}

func applyTo(t *testing.T, pool *pgxpool.Pool, subject string, id alarm.ID, kind alarm.Kind, offset int64) {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	p := pgwire.NewPipeline(conn.Conn())
	p.Execute(t.Context(), "begin", `BEGIN`)
	transition := alarm.Transition{
		Alarm: id, Subject: subject, Condition: alarm.RateHigh, Kind: kind, Priority: alarm.High, At: pgtest.Noon, Since: pgtest.Noon,
		Measure: alarm.Measure{Value: 201, Limit: 180}, Offset: offset,
	}
	if err := alarmstore.AddTransitions(t.Context(), p, "log", 0, []alarm.Transition{transition}); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Three notifiers, of which one after the other stops and starts again, and a receiver that takes each message at its third attempt
// only: every step arrives once, in order, with one id and the same bytes.
func TestEveryStepArrivesInOrder(t *testing.T) {
	t.Setenv("WARD_SECRET", secret)
	pool := pgtest.Database(t)
	clock := &clock{store: alarmstore.New(pool)}
	r := newReceiver(t, func(_ string, attempt int) int {
		return []int{500, 302, 200}[min(attempt, 3)-1]
	})
	path := filepath.Join(t.TempDir(), "notify.yaml")
	write(t, path, webhookFile(r.server.URL))
	options := Options{Pool: pool, File: path, now: clock.now}
	var stops [3]func()
	for i := range stops {
		stops[i], _ = start(t, options)
	}
	turn := 0
	replace := func() {
		stops[turn%len(stops)]()
		stops[turn%len(stops)], _ = start(t, options)
		turn++
	}
	id := uuid.New()
	apply(t, pool, id, alarm.Raised, 1)
	clock.await(t, pool, "the raise", func() bool { return r.types() == "alarm.raised" })
	replace()
	clock.await(t, pool, "the escalation", func() bool { return strings.HasPrefix(r.types(), "alarm.raised alarm.escalated") })
	replace()
	now, err := clock.now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clock.store.Act(t.Context(), id, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, now); err != nil {
		t.Fatal(err)
	}
	clock.await(t, pool, "the acknowledgement", func() bool { return strings.HasSuffix(r.types(), "alarm.acknowledged") })
	replace()
	before := r.types()
	apply(t, pool, id, alarm.Cleared, 2)
	clock.await(t, pool, "the end", func() bool { return r.types() == before+" alarm.cleared" })
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, attempts := range r.attempts {
		if attempts != 3 {
			t.Errorf("message %s had %d attempts, want 3", id, attempts)
		}
	}
	pgtest.Await(t, "all outcomes to be recorded", func() bool {
		return pgtest.Value[int](t, pool, `SELECT count(*) FROM deliveries WHERE state <> 'sent' OR attempts <> 3`) == 0
	})
}

func TestHangupReadsTheFileAgain(t *testing.T) {
	t.Setenv("WARD_SECRET", secret)
	pool := pgtest.Database(t)
	clock := &clock{store: alarmstore.New(pool)}
	take := func(string, int) int { return 200 }
	first, second := newReceiver(t, take), newReceiver(t, take)
	path := filepath.Join(t.TempDir(), "notify.yaml")
	write(t, path, webhookFile(first.server.URL))
	reload := make(chan os.Signal)
	_, role := start(t, Options{Pool: pool, File: path, Reload: reload, now: clock.now})
	read := func(result string, want int) {
		t.Helper()
		reload <- syscall.SIGHUP
		pgtest.Await(t, "the file to be read", func() bool { return testutil.ToFloat64(role.metrics.reloads.WithLabelValues(result)) == float64(want) })
	}
	write(t, path, "destinations: {}")
	read("refused", 1)
	id := uuid.New()
	apply(t, pool, id, alarm.Raised, 1)
	clock.await(t, pool, "the raise at the first receiver", func() bool { return first.types() == "alarm.raised" })
	write(t, path, webhookFile(second.server.URL))
	read("taken", 1)
	apply(t, pool, id, alarm.Cleared, 2)
	clock.await(t, pool, "the end at the second receiver", func() bool { return second.types() == "alarm.cleared" })
}

func TestWatchdogIsPingedWhileTheNotifierWorks(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	var pings atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { pings.Add(1) }))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "notify.yaml")
	write(t, path, fmt.Sprintf("destinations: {log: {log: {}}}\nroutes: [{to: [log]}]\nwatchdog: {url: %q, every: 10s, allow: [127.0.0.1]}", server.URL))
	_, role := start(t, Options{Pool: pool, File: path})
	pgtest.Await(t, "a ping", func() bool { return pings.Load() > 0 })
	if err := role.ready(); err != nil {
		t.Error(err)
	}
}

// A notifier is ready by what it has done itself, though another may hold the lock of routing all the time, and fail.
func TestNotifierIsReadyWhileItRoutesAndEscalates(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	role, err := New(Options{Pool: pool, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	role.began = time.Now().Add(-time.Minute)
	turn := func(want string) {
		t.Helper()
		now := mustNow(t, &clock{store: role.alarms})
		routeErr, timerErr, got := role.route(t.Context(), now), role.timer(t.Context(), now), ""
		if err := role.ready(); err != nil {
			got, _, _ = strings.Cut(err.Error(), " for ")
		}
		if got != want {
			t.Errorf("after %v and %v it is not ready because of %q, want %q", routeErr, timerErr, got, want)
		}
	}
	other, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('heartbeat outbox ' || current_schema(), 0))`); err != nil {
		t.Fatal(err)
	}
	turn("no events routed")
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	turn("")
	role.timed.Store(0)
	pgtest.Exec(t, pool, `ALTER TABLE alarms RENAME COLUMN tier TO renamed`)
	turn("no alarms escalated")
}

func TestMetricsTellWhatWaits(t *testing.T) {
	t.Setenv("WARD_SECRET", secret)
	pool := pgtest.Database(t)
	clock := &clock{store: alarmstore.New(pool)}
	r := newReceiver(t, func(string, int) int { return 503 })
	path := filepath.Join(t.TempDir(), "notify.yaml")
	write(t, path, webhookFile(r.server.URL))
	_, role := start(t, Options{Pool: pool, File: path, now: clock.now})
	apply(t, pool, uuid.New(), alarm.Raised, 1)
	clock.await(t, pool, "two attempts", func() bool { return testutil.ToFloat64(role.metrics.attempts.WithLabelValues("ward", "503")) >= 2 })
	pgtest.Await(t, "the depth to be counted", func() bool {
		return testutil.ToFloat64(role.metrics.pending.WithLabelValues("ward")) >= 1 && testutil.ToFloat64(role.metrics.oldest.WithLabelValues("ward")) > 0
	})
}

func TestTestSendsOneMessage(t *testing.T) {
	t.Setenv("WARD_SECRET", secret)
	r := newReceiver(t, func(string, int) int { return 200 })
	path := filepath.Join(t.TempDir(), "notify.yaml")
	write(t, path, webhookFile(r.server.URL))
	logger := slog.New(slog.DiscardHandler)
	if err := Test(t.Context(), path, "ward", logger); err != nil || r.types() != "test" {
		t.Errorf("%v, and the receiver has %q", err, r.types())
	}
	if err := Test(t.Context(), path, "none", logger); err == nil {
		t.Error("a destination that does not exist has taken the message")
	}
}
