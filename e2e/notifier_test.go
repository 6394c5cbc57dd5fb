package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	notifierKills  = 20
	webhookSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	notifiedPeople = 8 // below the number of raises that makes a storm
)

// killingReceiver takes messages and kills the notifiers that send them: before it answers, and each third time right after, so that
// the sender does not know of its success.
type killingReceiver struct {
	t        testing.TB
	verifier *standardwebhooks.Webhook
	server   *httptest.Server

	mu        sync.Mutex
	notifiers map[string]*role // by the path of their URL; nil while it is replaced
	killed    []string         // to replace
	kills     int
	limit     int               // of kills
	bodies    map[string]string // by id
	order     []string          // ids, as they came first
}

func newKillingReceiver(t testing.TB) *killingReceiver {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := &killingReceiver{t: t, verifier: verifier, notifiers: map[string]*role{}, bodies: map[string]string{}, limit: notifierKills / 2}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *killingReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	id, path := request.Header.Get("webhook-id"), request.URL.Path
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.verifier.Verify(body, request.Header); err != nil {
		r.t.Errorf("message %s: %v", id, err)
	}
	if before, known := r.bodies[id]; known && before != string(body) {
		r.t.Errorf("message %s was sent with other bytes:\n%s\n%s", id, before, body)
	} else if !known {
		r.bodies[id] = string(body)
		r.order = append(r.order, id)
	}
	sender := r.notifiers[path]
	if sender == nil || r.kills >= r.limit {
		return
	}
	if r.kills++; r.kills%3 == 0 {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
	}
	sender.kill()
	r.notifiers[path], r.killed = nil, append(r.killed, path)
}

// heard returns what was told of an alarm, each message once, without repeats of one event.
func (r *killingReceiver) heard(alarm string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []string
	for _, id := range r.order {
		type told struct {
			AlarmID string `json:"alarm_id"`
			Events  []string
		}
		var message struct {
			Data struct {
				told
				Alarms []told
			}
		}
		if err := json.Unmarshal([]byte(r.bodies[id]), &message); err != nil {
			r.t.Errorf("message %s: %v", id, err)
		}
		for _, one := range append(message.Data.Alarms, message.Data.told) {
			if one.AlarmID == alarm {
				events = append(events, one.Events...)
			}
		}
	}
	return strings.Join(slices.Compact(events), " ")
}

// startNotifier starts one whose destination has a URL of its own, so that the receiver knows whom to kill.
func (f *fixture) startNotifier(r *killingReceiver, path string) {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), "notify.yaml")
	text := fmt.Sprintf("destinations: {ward: {webhook: {url: %q, secrets: [{variable: WARD_SECRET}], allow: [127.0.0.1]}}}\nroutes: [{to: [ward], conditions: [rate_high]}]\n", r.server.URL+path)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	notifier := start(f.t, command{
		arguments:   []string{"notify", "--file", file, "--metrics-address", "none"},
		environment: append(f.environment(f.database), "WARD_SECRET="+webhookSecret),
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notifiers[path] = notifier
}

// replaceKilled starts notifiers for those that were killed, and lets the leases of these end: that takes 45 s otherwise.
func (f *fixture) replaceKilled(r *killingReceiver) {
	f.t.Helper()
	r.mu.Lock()
	killed := r.killed
	r.killed = nil
	r.mu.Unlock()
	for _, path := range killed {
		if _, err := f.pool.Exec(f.t.Context(), `UPDATE deliveries SET leased_until = now() WHERE leased_until > now()`); err != nil {
			f.t.Fatal(err)
		}
		f.startNotifier(r, path)
	}
}

// beats returns readings of everybody, one each 5 seconds for as long as stretch, which ends at end.
func beats(end time.Time, stretch time.Duration, rate int) (records []*kgo.Record) {
	for at := end.Add(-stretch); at.Before(end); at = at.Add(5 * time.Second) {
		for i := range notifiedPeople {
			customer := fmt.Sprintf("CUST_%05d", i+1)
			records = append(records, &kgo.Record{
				Partition: int32(i % 3), Timestamp: at, Key: []byte(customer), Value: event(customer, fmt.Sprint(rate+i), formatTimestamp(at)),
			})
		}
	}
	return records
}

// Two notifiers, killed 20 times in the middle of attempts, and a consumer that is killed too: each step of each alarm is told at least
// once, with one id and the same bytes each time, the raise first, and nothing calls after an acknowledgement.
func TestKilledNotifiersLoseNothing(t *testing.T) {
	t.Parallel()
	proves(t, "P13")
	runRounds(t, "notifiers killed in the middle of attempts", func(t *testing.T) *fixture {
		f := newFixture(t)
		if _, err := f.pool.Exec(t.Context(), `
INSERT INTO cohort_members (customer_id, effective_from, cohort, author)
SELECT 'CUST_' || lpad(n::text, 5, '0'), now() + interval '1 second', 'room ' || n, 'test' FROM generate_series(1, $1::integer) AS n`, notifiedPeople); err != nil {
			t.Fatal(err)
		}
		receiver := newKillingReceiver(t)
		for _, path := range []string{"/first", "/second"} {
			f.startNotifier(receiver, path)
		}
		consumer := f.consume()
		now := time.Now().Truncate(time.Second)
		f.send(beats(now.Add(-10*time.Minute), 2*time.Minute, 75))
		f.send(beats(now.Add(-8*time.Minute), 2*time.Minute, 195))
		f.caughtUp(waitTimeout)
		f.killConsumer(consumer)
		alarms := strings.Fields(value[string](t, f.pool, `SELECT string_agg(alarm_id::text, ' ' ORDER BY subject) FROM alarms WHERE condition = 'rate_high'`))
		if len(alarms) != notifiedPeople {
			t.Fatalf("%d alarms, want %d", len(alarms), notifiedPeople)
		}
		everyAlarm := func(what string, condition func(i int, heard string) bool) {
			t.Helper()
			await(t, waitTimeout, func() string {
				f.replaceKilled(receiver)
				for i, alarm := range alarms {
					if heard := receiver.heard(alarm); !condition(i, heard) {
						return fmt.Sprintf("%s: of alarm %d was heard %q", what, i, heard)
					}
				}
				return ""
			})
		}
		everyAlarm("the raise", func(_ int, heard string) bool { return strings.HasPrefix(heard, "raised") })
		receiver.allow(notifierKills)
		acknowledged := func(i int) bool { return i%2 == 0 }
		for i, alarm := range alarms {
			if acknowledged(i) {
				f.run("alarm", "ack", alarm, "--note", "seen")
			}
		}
		f.send(beats(now.Add(-6*time.Minute), 2*time.Minute, 75))
		f.drain()
		everyAlarm("the end", func(i int, heard string) bool {
			return strings.Contains(heard, "cleared") && (!acknowledged(i) || strings.Contains(heard, "acknowledged"))
		})
		await(t, waitTimeout, func() string {
			f.replaceKilled(receiver)
			if receiver.count() < notifierKills {
				return fmt.Sprintf("%d kills", receiver.count())
			}
			if left := value[int](t, f.pool, `SELECT count(*) FROM deliveries WHERE state NOT IN ('sent', 'withdrawn')`); left > 0 {
				return fmt.Sprintf("%d messages are not delivered", left)
			}
			return ""
		})
		for i, alarm := range alarms {
			before, after, _ := strings.Cut(receiver.heard(alarm), "acknowledged")
			if calls := strings.Contains(after, "escalated") || strings.Contains(after, "raised"); acknowledged(i) && (calls || !strings.HasPrefix(before, "raised")) {
				t.Errorf("of alarm %d, which was acknowledged, was heard %q", i, before+"acknowledged"+after)
			}
		}
		f.verify("--replay")
		return f.withFaults(notifierKills)
	})
}

func (r *killingReceiver) allow(kills int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = kills
}

func (r *killingReceiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kills
}
