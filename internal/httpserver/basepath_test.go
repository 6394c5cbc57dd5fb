package httpserver_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"heartbeat/internal/httpserver"
)

func TestBasePathIsStrippedWhereItIsThere(t *testing.T) {
	t.Parallel()
	handler := httpserver.UnderBasePath("/heartbeat", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen", r.URL.Path)
	}))
	for path, want := range map[string]string{
		"/heartbeat/": "/", "/heartbeat/api/v1/fleet": "/api/v1/fleet", "/healthz": "/healthz", "/heartbeats/x": "/heartbeats/x",
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Seen"); got != want {
			t.Errorf("%s is served as %q, want %q", path, got, want)
		}
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/heartbeat", nil))
	if w.Code != http.StatusPermanentRedirect || w.Header().Get("Location") != "/heartbeat/" {
		t.Errorf("/heartbeat got %d to %q, want a redirect to /heartbeat/", w.Code, w.Header().Get("Location"))
	}
}

func TestUnusableBasePathsAreRefused(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"": true, "/heartbeat": true, "/a/b-c_d.e~1": true,
		"/": false, "heartbeat": false, "/heartbeat/": false, "//host": false, "/a/../b": false, "/a b": false, "/a%20b": false, "https://host/a": false, "/a\nb": false,
	} {
		if err := httpserver.CheckBasePath(base); (err == nil) != want {
			t.Errorf("base path %q: %v, want it allowed: %t", base, err, want)
		}
	}
}
