package notifier

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

// faulty is a receiver with a fault. It takes what it answers with 200.
type faulty struct {
	t     *testing.T
	fault func(w http.ResponseWriter, attempt int) (taken bool)

	mu     sync.Mutex
	count  int
	bodies map[string]string   // by id
	taken  map[string]bool     // ids
	events map[string][]string // taken, by alarm, each message once
	server *http.Server
	url    string
}

func newFaulty(t *testing.T, fault func(w http.ResponseWriter, attempt int) bool) *faulty {
	t.Helper()
	f := &faulty{t: t, fault: fault, bodies: map[string]string{}, taken: map[string]bool{}, events: map[string][]string{}}
	f.listen("127.0.0.1:0")
	t.Cleanup(func() { _ = f.server.Close() })
	return f
}

// listen is there from now on, at the address.
func (f *faulty) listen(address string) {
	f.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.url = "http://" + listener.Addr().String()
	f.server = &http.Server{Handler: f}
	go func(server *http.Server) { _ = server.Serve(listener) }(f.server)
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	id := r.Header.Get("webhook-id")
	f.mu.Lock()
	f.count++
	attempt := f.count
	if before, known := f.bodies[id]; known && before != string(body) {
		f.t.Errorf("message %s was sent with other bytes:\n%s\n%s", id, before, body)
	}
	f.bodies[id] = string(body)
	f.mu.Unlock()
	if !f.fault(w, attempt) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.taken[id] {
		f.taken[id] = true
		f.take(body)
	}
}

func (f *faulty) take(body []byte) {
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
	if err := json.Unmarshal(body, &message); err != nil {
		f.t.Errorf("%s: %v", body, err)
	}
	for _, one := range append(message.Data.Alarms, message.Data.told) {
		if one.AlarmID != "" {
			f.events[one.AlarmID] = append(f.events[one.AlarmID], one.Events...)
		}
	}
}

// heard returns what was told of an alarm, without repeats of an escalation.
func (f *faulty) heard(id alarm.ID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(f.events[id.String()])), " ")
}

func answering(code int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// twice shows a fault at two attempts of three.
func twice(fault func(http.ResponseWriter)) func(http.ResponseWriter, int) bool {
	return func(w http.ResponseWriter, attempt int) bool {
		if attempt%3 != 0 {
			fault(w)
			return false
		}
		return true
	}
}

func breakConnection(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n")
		_ = conn.Close()
	}
}

// Each receiver, whatever its fault, hears every step in order and nothing twice under another id.
func TestEveryReceiverHearsEveryStepInOrder(t *testing.T) {
	t.Setenv("WARD_SECRET", secret)
	pool := pgtest.Database(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	receivers := map[string]*faulty{
		"fails half the time": newFaulty(t, func(w http.ResponseWriter, attempt int) bool {
			if attempt%2 == 1 {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return attempt%2 == 0
		}),
		"hangs": newFaulty(t, func(_ http.ResponseWriter, attempt int) bool {
			if attempt%3 != 0 {
				<-release
			}
			return attempt%3 == 0
		}),
		"redirects":     newFaulty(t, twice(answering(http.StatusFound, "Location", "http://127.0.0.1:1/"))),
		"answers 400":   newFaulty(t, twice(answering(http.StatusBadRequest))),
		"answers 429":   newFaulty(t, twice(answering(http.StatusTooManyRequests, "Retry-After", "7"))),
		"breaks off":    newFaulty(t, twice(breakConnection)),
		"is away":       newFaulty(t, func(http.ResponseWriter, int) bool { return true }),
		"answers 410":   newFaulty(t, func(w http.ResponseWriter, attempt int) bool { return goneAt(w, attempt, 1) }),
		"has no faults": newFaulty(t, func(http.ResponseWriter, int) bool { return true }),
	}
	_ = receivers["is away"].server.Close()
	names := map[string]string{}
	file := "destinations:\n"
	for name, r := range receivers {
		key := strings.ReplaceAll(name, " ", "-")
		names[name] = key
		file += fmt.Sprintf("  %s: {webhook: {url: %q, secrets: [{variable: WARD_SECRET}], allow: [127.0.0.1]}}\n", key, r.url)
	}
	path := filepath.Join(t.TempDir(), "notify.yaml")
	var to []string
	for _, key := range names {
		to = append(to, key)
	}
	write(t, path, file+"routes: [{to: ["+strings.Join(to, ", ")+"]}]\n")
	clock := &clock{store: alarmstore.New(pool)}
	_, role := start(t, Options{Pool: pool, File: path, now: clock.now, timeout: 300 * time.Millisecond})

	acknowledged, ended := uuid.New(), uuid.New()
	applyTo(t, pool, "CUST_00001", acknowledged, alarm.Raised, 1)
	applyTo(t, pool, "CUST_00002", ended, alarm.Raised, 2)
	await := func(what string, condition func() bool) {
		t.Helper()
		clock.await(t, pool, what, condition)
	}
	heard := func(id alarm.ID, name, want string) bool {
		return strings.HasPrefix(receivers[name].heard(id), want)
	}
	everybody := func(what string, id alarm.ID, want string, but ...string) {
		t.Helper()
		await(what, func() bool {
			for name := range receivers {
				if !slices.Contains(but, name) && !heard(id, name, want) {
					return false
				}
			}
			return true
		})
	}
	everybody("the raises", acknowledged, "raised", "is away", "answers 410")
	everybody("the raises", ended, "raised", "is away", "answers 410")
	began := clock.ahead.Load()
	await("three minutes", func() bool { return time.Duration(clock.ahead.Load()-began) > 3*time.Minute })
	receivers["is away"].listen(strings.TrimPrefix(receivers["is away"].url, "http://"))
	everybody("the raises at the one that was away", ended, "raised", "answers 410")
	if _, err := role.outbox.Retry(t.Context(), uuid.Nil, names["answers 410"], mustNow(t, clock)); err != nil {
		t.Fatal(err)
	}
	everybody("the raises at the one that was gone", ended, "raised")
	if _, err := clock.store.Act(t.Context(), acknowledged, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, mustNow(t, clock)); err != nil {
		t.Fatal(err)
	}
	applyTo(t, pool, "CUST_00002", ended, alarm.Cleared, 3)
	complete := func(id alarm.ID, last string) {
		t.Helper()
		await("the last step", func() bool {
			for name := range receivers {
				if got := receivers[name].heard(id); !strings.HasPrefix(got, "raised") || !strings.Contains(got, last) {
					return false
				}
			}
			return true
		})
	}
	complete(acknowledged, "acknowledged")
	complete(ended, "cleared")
	expired := pgtest.Value[bool](t, pool, `SELECT EXISTS (SELECT FROM alarm_events WHERE kind = 'acknowledgement_expired')`)
	for name, r := range receivers {
		first, after, _ := strings.Cut(r.heard(acknowledged), " acknowledged")
		if strings.Trim(strings.ReplaceAll(first, "escalated", ""), " ") != "raised" || after != "" && !expired {
			t.Errorf("%s has heard %q of the alarm that was acknowledged", name, r.heard(acknowledged))
		}
	}
}

func mustNow(t *testing.T, clock *clock) time.Time {
	t.Helper()
	now, err := clock.now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// goneAt says at one attempt that the receiver is gone for ever.
func goneAt(w http.ResponseWriter, attempt, at int) bool {
	if attempt == at {
		w.WriteHeader(http.StatusGone)
	}
	return attempt != at
}
