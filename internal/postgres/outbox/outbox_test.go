package outbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
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
	"heartbeat/internal/postgres/schema"
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

func TestEachStepReachesItsTier(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	f.pass(0)
	f.wantSent("ward", "") // others may follow within 2 s
	f.pass(2 * time.Second)
	f.wantSent("ward", "raised: raised")
	f.now = f.now.Add(time.Minute)
	if _, err := f.alarms.Escalate(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	f.pass(0)
	f.pass(2 * time.Second)
	f.wantSent("doctor", "escalated: escalated")
	f.now = f.now.Add(2 * time.Minute)
	if _, err := f.alarms.Escalate(t.Context(), f.now); err != nil { // no route of tier 2: the doctor again
		t.Fatal(err)
	}
	f.pass(0)
	f.pass(2 * time.Second)
	f.wantSent("doctor", "escalated: escalated")
	f.acknowledge("CUST_00001")
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	for _, destination := range []string{"ward", "doctor"} {
		f.wantSent(destination, "cleared: acknowledged cleared")
	}
}

func TestRaisedAndClearedBeforeSendingIsOneMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	f.pass(0)
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.pass(time.Second)
	f.pass(time.Second)
	f.wantSent("ward", "cleared: raised cleared")
}

func TestNothingFollowsAnAcknowledgement(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	f.wantSent("ward", "raised: raised")
	f.now = f.now.Add(time.Minute)
	if count, err := f.alarms.Escalate(t.Context(), f.now); count != 1 || err != nil {
		t.Fatal(count, err)
	}
	f.pass(0) // the escalation waits for others
	f.acknowledge("CUST_00001")
	f.pass(time.Second)
	f.pass(2 * time.Second)
	f.wantSent("doctor", "")
	f.wantSent("ward", "acknowledged: acknowledged")
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
}

func TestMessagesAboutOneAlarmAreSentInOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	first := f.lease("ward")
	if len(first) != 1 {
		t.Fatalf("leased %d messages, want 1", len(first))
	}
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High), f.transition("CUST_00002", alarm.Raised, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	if other := f.lease("ward"); len(other) != 0 { // a group of both: it tells of the first alarm
		t.Fatalf("%s was leased while an earlier message about its alarm is on its way", inWords(t, other[0].Body))
	}
	f.finish("ward", &first[0], outbox.Attempt{Code: 503, Error: "the receiver answered 503"})
	if other := f.lease("ward"); len(other) != 0 {
		t.Fatal("a message overtook one that waits for its next attempt")
	}
	f.now = f.now.Add(3 * time.Second)
	f.wantSent("ward", "raised: raised, digest of map[cleared:1 raised:1]")
}

func TestKilledProcessIsReplacedAfterItsLease(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	first := f.lease("ward")
	f.now = f.now.Add(outbox.Lease - time.Millisecond)
	if early := f.lease("ward"); len(early) != 0 {
		t.Fatal("a lease was taken over before its end")
	}
	f.now = f.now.Add(time.Millisecond)
	second := f.lease("ward")
	if len(first) != 1 || len(second) != 1 || first[0].ID != second[0].ID || string(first[0].Body) != string(second[0].Body) {
		t.Fatalf("leased %v, then %v: want the same message with the same bytes", first, second)
	}
	f.finish("ward", &first[0], outbox.Attempt{Error: "too late"}) // the first process was only suspended
	pgtest.WantRows(t, f.pool, `SELECT state, attempts, error FROM deliveries`, "pending 2 ")
	f.finish("ward", &second[0], outbox.Attempt{Code: 200})
	pgtest.WantRows(t, f.pool, `SELECT state, attempts, code FROM deliveries`, "sent 2 200")
}

func TestGoneDestinationIsDisabledUntilItIsRetried(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	first := f.lease("ward")
	f.finish("ward", &first[0], outbox.Attempt{Code: 410, Gone: true, Error: "the receiver answered 410"})
	f.apply(f.transition("CUST_00002", alarm.Raised, alarm.High))
	f.pass(0)
	f.pass(2 * time.Second)
	f.wantSent("ward", "")
	listed, err := f.store.List(t.Context(), "dead", "ward", 10)
	if err != nil || len(listed) != 2 || *listed[1].Code != 410 || listed[0].Error != "the destination is disabled" {
		t.Fatalf("listed %+v, %v; want both as dead", listed, err)
	}
	if count, err := f.store.Retry(t.Context(), uuid.Nil, "ward", f.now); count != 2 || err != nil {
		t.Fatalf("retried %d, %v; want 2", count, err)
	}
	f.wantSent("ward", "raised: raised, raised: raised")
}

func TestHeldMessageIsGivenUpAndListed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.Medium))
	f.pass(0)
	f.pass(10 * time.Second)
	attempts := 0
	for range 20 {
		for _, delivery := range f.lease("ward") {
			attempts++
			f.finish("ward", &delivery, outbox.Attempt{Code: 500, Error: "the receiver answered 500", RetryAfter: time.Hour})
			if again := f.lease("ward"); len(again) != 0 {
				t.Error("sent again at once, though the receiver asked for an hour")
			}
		}
		f.now = f.now.Add(12 * time.Hour)
	}
	pgtest.WantRows(t, f.pool, `SELECT state, attempts, code FROM deliveries`, "dead 7 500")
	if attempts != 7 {
		t.Errorf("%d attempts, want 7", attempts)
	}
}

func TestStormIsToldInDigests(t *testing.T) {
	t.Parallel()
	const customers = 10_000
	f := newFixture(t, twoTiers)
	var raises, clears []alarm.Transition
	for i := range customers {
		priority := alarm.Low
		if i == customers/2 {
			priority = alarm.High
		}
		raises = append(raises, f.transition(fmt.Sprintf("CUST_%05d", i+1), alarm.Raised, priority))
	}
	f.apply(raises...)
	messages := 0
	for range 20 { // a minute
		messages += f.pass(3 * time.Second).Messages
	}
	if messages == 0 || messages > 10 {
		t.Errorf("%d messages in the first minute, want 1 to 10", messages)
	}
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM alarm_events WHERE kind = 'raised' AND routed_at IS NOT NULL`, fmt.Sprint(customers))
	first := f.lease("ward")
	if len(first) != 1 || !strings.Contains(string(first[0].Body), `the worst: rate_high of CUST_05001, high`) {
		t.Fatalf("%d messages are due, the first: %.300s; want one digest, the worst first", len(first), first[0].Body)
	}
	if len(first[0].Body) > 32<<10 {
		t.Errorf("the digest has %d bytes", len(first[0].Body))
	}
	f.finish("ward", &first[0], outbox.Attempt{Code: 200})
	for i := range customers {
		clears = append(clears, f.transition(fmt.Sprintf("CUST_%05d", i+1), alarm.Cleared, alarm.Low))
	}
	f.apply(clears...)
	for range 30 {
		messages += f.pass(time.Minute).Messages
	}
	f.sent("ward")
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
	pgtest.WantRows(t, f.pool, `SELECT count(DISTINCT id) FROM deliveries, unnest(alarm_ids) AS id WHERE state = 'sent'`, fmt.Sprint(customers))
	if messages > 20 {
		t.Errorf("%d messages in all, want few", messages)
	}
}

func TestAnyNumberOfProcessesRouteAndLeaseOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	for i := range 9 {
		f.apply(f.transition(fmt.Sprintf("CUST_%05d", i+1), alarm.Raised, alarm.High))
	}
	var mu sync.Mutex
	leased := map[uuid.UUID]int{}
	var group sync.WaitGroup
	for process := range 6 {
		group.Go(func() {
			for round := range 10 {
				now := f.now.Add(time.Duration(round) * time.Second)
				if _, err := f.store.Route(t.Context(), f.router, f, now); err != nil {
					t.Error(err)
				}
				deliveries, err := f.store.Lease(t.Context(), "ward", fmt.Sprint(process), 100, now)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, delivery := range deliveries {
					leased[delivery.ID]++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	pgtest.WantRows(t, f.pool, `SELECT count(id), count(DISTINCT id) FROM deliveries, unnest(alarm_ids) AS id`, "9 9")
	for id, count := range leased {
		if count != 1 {
			t.Errorf("delivery %s was leased %d times", id, count)
		}
	}
}

func TestHistoryTakesTheMarkOnceAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High))
	for _, statement := range []string{
		`UPDATE alarm_events SET note = 'x'`, `UPDATE alarm_events SET routed_at = now(), note = 'x'`, `UPDATE alarm_events SET routed_at = NULL`,
		`DELETE FROM alarm_events`,
	} {
		if _, err := f.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s is allowed", statement)
		}
	}
	pgtest.Exec(t, f.pool, `UPDATE alarm_events SET routed_at = now()`)
	if _, err := f.pool.Exec(t.Context(), `UPDATE alarm_events SET routed_at = now() + interval '1 s'`); err == nil {
		t.Error("the mark can change")
	}
}

// The role of notifiers may do its work, and neither change an alarm otherwise nor read a reading or a note.
func TestNotifierWorksWithItsRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	if err := schema.ApplyRoles(t.Context(), f.pool, map[schema.Role]string{schema.NotifyRole: "notify-secret"}); err != nil {
		t.Fatal(err)
	}
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High), f.transition("CUST_00002", alarm.Raised, alarm.High))
	f.acknowledge("CUST_00002")
	role := pgtest.SignIn(t, f.pool, "heartbeat_notify", "notify-secret")
	f.store = outbox.New(role)
	if err := schema.Check(t.Context(), role); err != nil {
		t.Error(err)
	}
	f.pass(0)
	f.pass(2 * time.Second)
	first := f.lease("ward")
	f.finish("ward", &first[0], outbox.Attempt{Code: 410, Gone: true, Error: "gone"})
	store := alarmstore.New(role)
	if _, err := store.Escalate(t.Context(), f.now.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	if ended, err := store.Expire(t.Context(), f.now.Add(15*time.Minute)); ended != 1 || err != nil {
		t.Errorf("%d acknowledgements ended, %v; want 1", ended, err)
	}
	if _, err := f.store.Retry(t.Context(), uuid.Nil, "ward", f.now); err != nil {
		t.Error(err)
	}
	if _, _, err := f.store.Depths(t.Context(), f.now); err != nil {
		t.Error(err)
	}
	if err := f.store.Drop(t.Context(), f.now); err != nil {
		t.Error(err)
	}
	if err := f.store.DropUnknown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, statement := range []string{
		`SELECT note FROM alarm_events`, `SELECT note FROM alarms`, `SELECT FROM heartbeat_records`, `SELECT FROM console_users`, `UPDATE alarms SET closed_at = now()`,
		`UPDATE alarm_events SET note = ''`, `DELETE FROM alarm_events`, `INSERT INTO alarm_events (actor) VALUES ('x')`, `DELETE FROM notification_destinations`,
	} {
		if _, err := role.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v, want it refused for lack of a right", statement, err)
		}
	}
}
