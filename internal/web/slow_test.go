package web_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/web"
)

func TestSlowBodiesHoldNoSlotAndEndSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, func(o *web.Options) { o.MaxRequests = 4 })
		began := time.Now()
		var slow []client
		for range 64 {
			slow = append(slow, r.send(t, "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
		}
		synctest.Wait()
		for _, path := range []string{"/healthz", "/readyz", "/api/v1/fleet", "/api/v1/session"} {
			status := r.send(t, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n").status()
			if strings.HasPrefix(status, "429") || time.Since(began) > 0 {
				t.Errorf("%s got %q after %s while bodies are on the way", path, status, time.Since(began))
			}
		}
		for _, c := range slow {
			if status := c.status(); !strings.HasPrefix(status, "408") {
				t.Errorf("a body that does not come got %q, want 408", status)
			}
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("slow bodies were given up after %s, want 2 s", took)
		}
	})
}

func TestProbesAreAnsweredWhileEverySlotIsTaken(t *testing.T) {
	t.Parallel()
	store := slowStore{entered: make(chan struct{}), release: make(chan struct{})}
	server := newServer(t, func(o *web.Options) { o.MaxRequests, o.Store = 1, store })
	done := make(chan int, 1)
	go func() { done <- get(server, "/api/v1/tables").Code }()
	<-store.entered
	if w := get(server, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("/healthz got %d: %s", w.Code, w.Body)
	}
	if w := get(server, "/readyz"); w.Code == http.StatusTooManyRequests {
		t.Errorf("/readyz got %d: %s", w.Code, w.Body)
	}
	close(store.release)
	<-done
}

func TestStreamOutlivesTheTimeForRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil)
		c := r.connect(t, "")
		for began := time.Now(); time.Since(began) < 5*time.Minute; {
			if _, err := c.event(); err != nil {
				t.Fatalf("the stream ended after %s: %v", time.Since(began), err)
			}
		}
	})
}
