package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGrafanaWritesItsFiles(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "provisioning")
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"grafana", directory}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	if want := "wrote 10 files into " + directory + "\n"; stdout.String() != want {
		t.Errorf("said %q, want %q", stdout.String(), want)
	}
	if _, err := os.Stat(filepath.Join(directory, "dashboards", "heartbeat", "main.json")); err != nil {
		t.Error(err)
	}
}

func TestHealthcheckFailsUnlessTheAnswerIs200(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.Error(w, "partition 1 is stopped", http.StatusServiceUnavailable)
		}
	}))
	gone := httptest.NewServer(nil)
	gone.Close()
	t.Cleanup(server.Close)
	for _, test := range []struct {
		url  string
		code int
		want string
	}{
		{server.URL + "/readyz", exitOK, ""},
		{server.URL + "/stopped", exitFailure, "503 Service Unavailable: partition 1 is stopped"},
		{gone.URL, exitFailure, "connection refused"},
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), []string{"healthcheck", test.url}, &stdout, &stderr)
		if code != test.code || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("healthcheck %s: exit code %d, %q; want %d, %q", test.url, code, stderr.String(), test.code, test.want)
		}
	}
}
