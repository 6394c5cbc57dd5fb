package outbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/pgwire"
)

// fixture is a database with an outbox, and a clock that tests move.
type fixture struct {
	t      *testing.T
	pool   *pgxpool.Pool
	store  *outbox.Store
	alarms *alarmstore.Store
	router *notify.Router
	now    time.Time
	offset int64
	ids    map[string]alarm.ID
}

const twoTiers = `
destinations: {ward: {log: {}}, doctor: {log: {}}}
routes:
  - to: [ward]
  - {to: [doctor], tier: 1}
`

func newFixture(t *testing.T, file string) *fixture {
	t.Helper()
	parsed, err := notify.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Database(t)
	f := &fixture{t: t, pool: pool, store: outbox.New(pool), alarms: alarmstore.New(pool), router: notify.NewRouter(parsed), ids: map[string]alarm.ID{}}
	if f.now, err = f.alarms.Now(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// Encode makes the fixture an outbox.Encoder.
func (f *fixture) Encode(_ string, message *notify.Message) ([]byte, error) {
	return notify.Words{}.JSON(message)
}

// withAlarm returns a fixture that has to send the ward a message about one alarm of high priority, of CUST_00001.
func withAlarm(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, twoTiers)
	f.raise("CUST_00001")
	f.settle()
	return f
}

func (f *fixture) transition(customer string, kind alarm.Kind, priority alarm.Priority) alarm.Transition {
	f.offset++
	if kind == alarm.Raised {
		f.ids[customer] = uuid.New()
	}
	at := pgtest.Noon.Add(time.Duration(f.offset) * time.Second)
	return alarm.Transition{
		Alarm: f.ids[customer], Subject: customer, Condition: alarm.RateHigh, Kind: kind, Priority: priority, At: at, Since: at,
		Measure: alarm.Measure{Value: 201, Peak: 202, Limit: 180}, Offset: f.offset,
	}
}

func (f *fixture) apply(transitions ...alarm.Transition) {
	f.t.Helper()
	conn, err := f.pool.Acquire(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Release()
	p := pgwire.NewPipeline(conn.Conn())
	p.Execute(f.t.Context(), "begin", `BEGIN`)
	if err := alarmstore.AddTransitions(f.t.Context(), p, "log", 0, transitions); err != nil {
		f.t.Fatal(err)
	}
	if err := p.Commit(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// raise raises alarms of high priority.
func (f *fixture) raise(customers ...string) {
	f.t.Helper()
	var raises []alarm.Transition
	for _, customer := range customers {
		raises = append(raises, f.transition(customer, alarm.Raised, alarm.High))
	}
	f.apply(raises...)
}

func (f *fixture) acknowledge(customer string) {
	f.t.Helper()
	if _, err := f.alarms.Act(f.t.Context(), f.ids[customer], alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, f.now); err != nil {
		f.t.Fatal(err)
	}
}

// pass moves the clock and routes.
func (f *fixture) pass(wait time.Duration) outbox.Routed {
	f.t.Helper()
	f.now = f.now.Add(wait)
	routed, err := f.store.Route(f.t.Context(), f.router, f, f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	return routed
}

func (f *fixture) lease(destination string) []outbox.Delivery {
	f.t.Helper()
	leased, err := f.store.Lease(f.t.Context(), destination, "test", 100, f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	return leased
}

func (f *fixture) finish(destination string, delivery *outbox.Delivery, attempt outbox.Attempt) {
	f.t.Helper()
	if err := f.store.Finish(f.t.Context(), destination, "test", delivery, attempt, f.now); err != nil {
		f.t.Fatal(err)
	}
}

// sent leases and takes what is due, until nothing is, and returns it in words: the type, and the events of a single alarm.
func (f *fixture) sent(destination string) string {
	f.t.Helper()
	var words []string
	for leased := f.lease(destination); len(leased) > 0; leased = f.lease(destination) {
		for i := range leased {
			words = append(words, inWords(f.t, leased[i].Body))
			f.finish(destination, &leased[i], outbox.Attempt{Code: 200})
		}
	}
	return strings.Join(words, ", ")
}

func inWords(t *testing.T, body []byte) string {
	t.Helper()
	var message struct {
		Type string
		Data struct {
			Events []string
			Counts map[string]int
		}
	}
	if err := json.Unmarshal(body, &message); err != nil {
		t.Fatal(err)
	}
	if message.Type == "digest" {
		return fmt.Sprint("digest of ", message.Data.Counts)
	}
	return strings.Join(append([]string{strings.TrimPrefix(message.Type, "alarm.") + ":"}, message.Data.Events...), " ")
}

func (f *fixture) wantSent(destination, want string) {
	f.t.Helper()
	if got := f.sent(destination); got != want {
		f.t.Errorf("%s was sent %q, want %q", destination, got, want)
	}
}

// attempt leases what is due and ends each attempt in the same way.
func (f *fixture) attempt(destination string, attempt outbox.Attempt) (ids []uuid.UUID) {
	f.t.Helper()
	for _, delivery := range f.lease(destination) {
		f.finish(destination, &delivery, attempt)
		ids = append(ids, delivery.ID)
	}
	return ids
}

// settle routes what is new and makes messages of it.
func (f *fixture) settle() {
	f.t.Helper()
	f.pass(0)
	f.pass(2 * time.Second)
}

func (f *fixture) escalate(after time.Duration, want int) {
	f.t.Helper()
	f.now = f.now.Add(after)
	if count, err := f.alarms.Escalate(f.t.Context(), f.now); count != want || err != nil {
		f.t.Fatalf("%d alarms escalated, %v; want %d", count, err, want)
	}
}
