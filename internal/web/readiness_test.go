package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/progress"
	"heartbeat/internal/status"
	"heartbeat/internal/web"
)

// movingStore stores an offset each time it is asked for its progress, while it moves.
type movingStore struct {
	stored
	moves bool
	next  int64
}

func (s *movingStore) Progress(context.Context) ([]progress.Stored, error) {
	if s.moves {
		s.next++
	}
	return []progress.Stored{{Log: "heartbeat-events", Topic: "heartbeat-events", Next: s.next, UpdatedAt: new(noon())}}, nil
}

func TestReadyMeansThatReadingsAreStored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		moves  bool
		end    ends
		after  time.Duration
		status int
		code   string
		parts  []string
	}{
		"caught up":                  {false, 0, time.Hour, http.StatusOK, "", nil},
		"far behind and getting on":  {true, 1e9, time.Hour, http.StatusOK, "", nil},
		"behind for a moment":        {false, 9, 10 * time.Second, http.StatusOK, "", nil},
		"nothing is stored":          {false, 9, 20 * time.Second, http.StatusServiceUnavailable, "readings_not_stored", []string{"9 records wait", "kcat at 10.0.0.9"}},
		"the broker is briefly away": {false, -1, 10 * time.Second, http.StatusOK, "", nil},
		"the broker does not answer": {false, -1, 20 * time.Second, http.StatusServiceUnavailable, "broker_unavailable", []string{"2000-01-01"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := &movingStore{moves: test.moves}
				server := newServer(t, func(o *web.Options) { o.Store, o.Broker = store, test.end })
				ctx, stop := context.WithTimeout(t.Context(), test.after)
				defer stop()
				_ = server.Run(ctx)
				w := get(server, "/readyz")
				body := w.Body.String()
				if w.Code != test.status || !strings.Contains(body, test.code) {
					t.Errorf("got %d %s, want %d %s", w.Code, body, test.status, test.code)
				}
				for _, part := range test.parts {
					if !strings.Contains(body, part) {
						t.Errorf("%s lacks %q", body, part)
					}
				}
				if test.code != "readings_not_stored" {
					return
				}
				for _, component := range decode[struct{ Health []status.Component }](t, get(server, "/api/v1/pipeline").Body).Health {
					if component.Name == "consumer" && (component.Level != status.Down || !strings.Contains(component.Detail, "kcat at 10.0.0.9")) {
						t.Errorf("the console shows %+v", component)
					}
				}
			})
		})
	}
}
