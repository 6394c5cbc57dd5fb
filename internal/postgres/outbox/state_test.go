package outbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

const toAlertmanager = `
destinations: {am: {alertmanager: {url: "https://example.org"}}, doctor: {log: {}}}
routes: [{to: [am], priority: medium}, {to: [doctor], tier: 1}]`

// post leases what the Alertmanager is to be told, in words: the customers, with a star where the alarm is closed.
func (f *fixture) post(owner string) (string, *outbox.Posting) {
	f.t.Helper()
	posting, err := f.store.LeasePost(f.t.Context(), "am", owner, f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	if posting == nil {
		return "", nil
	}
	var words []string
	for _, a := range posting.Alarms {
		word := strings.TrimPrefix(a.Subject, "CUST_0000")
		if !a.Open {
			word += "*"
		}
		words = append(words, word)
	}
	return strings.Join(words, " "), posting
}

func (f *fixture) wantPost(want string, outcome outbox.Attempt) {
	f.t.Helper()
	got, posting := f.post("test")
	if got != want {
		f.t.Errorf("posted %q, want %q", got, want)
	}
	if posting == nil {
		return
	}
	if err := f.store.FinishPost(f.t.Context(), "am", "test", posting, outcome, f.now); err != nil {
		f.t.Fatal(err)
	}
}

func TestStatesAreToldWhenTheyChangeAndEachMinute(t *testing.T) {
	t.Parallel()
	f := newFixture(t, toAlertmanager)
	taken := outbox.Attempt{Code: 200}
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High), f.transition("CUST_00002", alarm.Raised, alarm.Medium),
		f.transition("CUST_00003", alarm.Raised, alarm.Low))
	f.pass(0)
	f.wantPost("1 2", taken) // the third has no route
	f.wantPost("", taken)
	f.acknowledge("CUST_00002")
	f.pass(time.Second)
	f.wantPost("2", taken)
	f.now = f.now.Add(59 * time.Second)
	f.wantPost("1 2", taken) // a minute after all of them
	f.apply(f.transition("CUST_00002", alarm.Cleared, alarm.Medium), f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.pass(time.Second)
	f.wantPost("1 2*", taken) // the first ended and was not seen, so it is open
	for range 14 {
		f.now = f.now.Add(time.Minute)
		f.wantPost("1 2*", taken)
	}
	f.now = f.now.Add(time.Minute)
	f.wantPost("1", taken)
	f.acknowledge("CUST_00001") // which closes it
	f.pass(time.Second)
	f.wantPost("1*", taken)
	f.now = f.now.Add(15 * time.Minute)
	f.wantPost("", taken)
	f.now = f.now.Add(time.Minute)
	f.wantPost("", taken)
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_states`, "0")
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM deliveries`, "0")
}

func TestStatesAreToldAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t, toAlertmanager)
	f.raise("CUST_00001")
	f.pass(0)
	f.wantPost("1", refused)
	f.raise("CUST_00002")
	f.pass(time.Second)
	f.wantPost("", refused) // not before its time
	f.now = f.now.Add(2 * time.Second)
	f.wantPost("1 2", unknown)
	depths, _, err := f.store.Depths(t.Context(), f.now)
	if err != nil || len(depths) != 1 || depths[0].Queued != 2 || depths[0].Oldest == nil || depths[0].Error != "connection reset by peer" {
		t.Errorf("depths are %+v, %v", depths, err)
	}
	f.now = f.now.Add(6 * time.Second)
	f.wantPost("1 2", outbox.Attempt{Code: 410, Gone: true, Error: "the receiver answered 410"})
	f.now = f.now.Add(time.Hour)
	f.wantPost("", refused)
	if _, err := f.store.Retry(t.Context(), f.ids["CUST_00001"], "am", f.now); err != nil {
		t.Fatal(err)
	}
	f.wantPost("1 2", outbox.Attempt{Code: 200})
}

// A process that was killed while it posted is replaced after its lease; one that was only suspended changes nothing.
func TestOneProcessPostsAtATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, toAlertmanager)
	f.raise("CUST_00001")
	f.pass(0)
	var mu sync.Mutex
	var group sync.WaitGroup
	posts := 0
	var first *outbox.Posting
	for process := range 4 {
		group.Go(func() {
			if posting, err := f.store.LeasePost(t.Context(), "am", fmt.Sprint(process), f.now); err != nil {
				t.Error(err)
			} else if posting != nil {
				mu.Lock()
				defer mu.Unlock()
				first = posting
				posts++
			}
		})
	}
	group.Wait()
	if posts != 1 {
		t.Fatalf("%d processes post", posts)
	}
	f.now = f.now.Add(outbox.Lease)
	if got, _ := f.post("late"); got != "1" {
		t.Fatalf("posted %q after the lease", got)
	}
	if err := f.store.FinishPost(t.Context(), "am", "another", first, outbox.Attempt{Code: 200}, f.now); err != nil {
		t.Fatal(err)
	}
	pgtest.WantRows(t, f.pool, `SELECT posting_by, posted IS NULL FROM notification_destinations, notification_states`, "late true")
}

func TestAlertmanagerThatFailsForAMinuteIsToldToTheNextTier(t *testing.T) {
	t.Parallel()
	f := newFixture(t, toAlertmanager)
	f.raise("CUST_00001", "CUST_00002")
	f.pass(0)
	f.wantPost("1 2", down)
	f.acknowledge("CUST_00002")
	f.pass(59 * time.Second)
	f.wantSent("doctor", "")
	f.pass(time.Second)
	f.pass(2 * time.Second)
	leased := f.lease("doctor")
	if len(leased) != 1 || !strings.Contains(string(leased[0].Body), `"undelivered_to":["am"]`) || strings.Contains(string(leased[0].Body), "CUST_00002") {
		t.Fatalf("the doctor gets %v", leased)
	}
	f.finish("doctor", &leased[0], outbox.Attempt{Code: 200})
	f.pass(time.Minute)
	f.pass(time.Minute)
	f.wantSent("doctor", "")
}

// incidents is what a PagerDuty would show.
type incidents struct {
	*fixture
	states map[string]string
	events int
}

// Encode makes the incidents an outbox.Encoder.
func (i *incidents) Encode(_ string, message *notify.Message) ([]byte, error) {
	return fmt.Appendf(nil, "%s %s", message.Key(), message.State()), nil
}

func (i *incidents) settle(turns int, step time.Duration) {
	i.t.Helper()
	for range turns {
		i.now = i.now.Add(step)
		if _, err := i.store.Route(i.t.Context(), i.router, i, i.now); err != nil {
			i.t.Fatal(err)
		}
		for _, delivery := range i.lease("duty") {
			key, state, _ := strings.Cut(string(delivery.Body), " ")
			i.states[key] = state
			i.events++
			i.finish("duty", &delivery, outbox.Attempt{Code: 202})
		}
	}
}

func (i *incidents) count(state string) (count int) {
	for _, s := range i.states {
		if s == state {
			count++
		}
	}
	return count
}

// newIncidents returns what a PagerDuty shows that every alarm is routed to.
func newIncidents(t *testing.T) *incidents {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	return &incidents{states: map[string]string{}, fixture: newFixture(t, `
destinations: {duty: {pagerduty: {routing_key: {file: `+path+`}}}}
routes: [{to: [duty]}]`)}
}

// An alarm that comes and goes between two digests must not resolve the incident of the others, and one that ends unseen keeps it.
func TestIncidentOfAStormLastsAsLongAsOneOfItsAlarms(t *testing.T) {
	t.Parallel()
	i := newIncidents(t)
	var customers []string
	for n := range 12 {
		customers = append(customers, fmt.Sprintf("CUST_1%04d", n))
	}
	i.raise(customers...)
	i.settle(4, 5*time.Second)
	want := func(state string) {
		t.Helper()
		if len(i.states) != 1 || i.count(state) != 1 {
			t.Fatalf("incidents are %v, want one, state %s", i.states, state)
		}
	}
	want("trigger")
	comesAndGoes := func(customer string, priority alarm.Priority) {
		t.Helper()
		i.apply(i.transition(customer, alarm.Raised, priority))
		i.apply(i.transition(customer, alarm.Cleared, priority))
		i.settle(4, 80*time.Second)
	}
	comesAndGoes("CUST_20001", alarm.Medium)
	want("trigger")
	for _, customer := range customers {
		i.acknowledge(customer)
	}
	i.raise("CUST_30001", "CUST_30002", "CUST_30003", "CUST_30004", "CUST_30005") // so that the storm goes on
	for n := range 5 {
		i.acknowledge(fmt.Sprintf("CUST_3000%d", n+1))
	}
	i.settle(2, 5*time.Second)
	comesAndGoes("CUST_20002", alarm.Medium)
	want("acknowledge")
	comesAndGoes("CUST_20003", alarm.High)
	want("trigger")
	for _, customer := range append(customers, "CUST_30001", "CUST_30002", "CUST_30003", "CUST_30004", "CUST_30005") {
		i.apply(i.transition(customer, alarm.Cleared, alarm.High))
	}
	i.settle(30, 20*time.Second)
	want("trigger")
	i.acknowledge("CUST_20003") // which closes it
	i.settle(30, 20*time.Second)
	want("resolve")
	pgtest.WantRows(t, i.pool, `SELECT count(*) FROM notification_queue`, "0")
}

// Each alarm is an incident of its own, those of a storm are one; each ends with its alarms.
func TestStormIsOneIncidentThatEndsWithItsAlarms(t *testing.T) {
	t.Parallel()
	i := newIncidents(t)
	i.raise("CUST_00001", "CUST_00002")
	i.settle(2, 2*time.Second)
	if i.count("trigger") != 2 {
		t.Fatalf("incidents are %v, want one for each alarm", i.states)
	}
	var raises []alarm.Transition
	for n := range 500 {
		raises = append(raises, i.transition(fmt.Sprintf("CUST_1%04d", n), alarm.Raised, alarm.Medium))
	}
	i.apply(raises...)
	i.settle(4, 5*time.Second)
	if i.count("trigger") != 3 || i.events != 3 {
		t.Fatalf("%d events, incidents are %v, want one more", i.events, i.states)
	}
	clear := func(from, to int) {
		t.Helper()
		var clears []alarm.Transition
		for n := from; n < to; n++ {
			clears = append(clears, i.transition(fmt.Sprintf("CUST_1%04d", n), alarm.Cleared, alarm.Medium))
		}
		i.apply(clears...)
	}
	clear(0, 400)
	i.acknowledge("CUST_00001")
	i.settle(30, 20*time.Second)
	if i.count("trigger") != 2 || i.count("acknowledge") != 1 || i.events != 4 {
		t.Fatalf("%d events, incidents are %v, want the storm and one of two alarms triggered", i.events, i.states)
	}
	clear(400, 500)
	i.apply(i.transition("CUST_00001", alarm.Cleared, alarm.High), i.transition("CUST_00002", alarm.Cleared, alarm.High))
	i.acknowledge("CUST_00002")
	i.settle(30, 20*time.Second)
	if i.count("resolve") != 3 || i.events != 7 {
		t.Errorf("%d events, incidents are %v, want all resolved", i.events, i.states)
	}
	pgtest.WantRows(t, i.pool, `SELECT count(*) FROM notification_queue`, "0")
}

func TestNotifierKeepsStatesWithItsRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t, toAlertmanager)
	if err := schema.ApplyRoles(t.Context(), f.pool, map[schema.Role]string{schema.NotifyRole: "notify-secret"}); err != nil {
		t.Fatal(err)
	}
	f.raise("CUST_00001")
	role := pgtest.SignIn(t, f.pool, "heartbeat_notify", "notify-secret")
	f.store, f.alarms = outbox.New(role), alarmstore.New(role)
	f.pass(0)
	f.wantPost("1", refused)
	f.pass(time.Minute) // the next tier is told
	f.pass(2 * time.Second)
	f.wantSent("doctor", "escalated: escalated")
	f.wantPost("1", outbox.Attempt{Code: 200})
	if err := f.store.DropUnknown(t.Context()); err != nil {
		t.Error(err)
	}
}
