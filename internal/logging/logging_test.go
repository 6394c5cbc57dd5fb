package logging_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"heartbeat/internal/logging"
)

func TestPlainLines(t *testing.T) {
	t.Parallel()
	for _, format := range []logging.Format{logging.Auto, logging.Text} {
		var out bytes.Buffer
		log := logging.New(&out, slog.LevelInfo, format).With("component", "test")
		log.Debug("not shown")
		log.Warn("disk nearly full", "path", "/var lib", "level", "of its own")
		want := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING disk nearly full component=test path="/var lib" level="of its own"\n$`)
		if !want.MatchString(out.String()) {
			t.Errorf("%s: got %q, want a match of %s", format, out.String(), want)
		}
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logging.New(&out, slog.LevelDebug, logging.JSON).Warn("disk nearly full", "free_bytes", 42)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("line is not JSON: %v: %s", err, out.String())
	}
	at, _ := line["time"].(string)
	if line["level"] != "WARNING" || line["msg"] != "disk nearly full" || line["free_bytes"] != 42.0 || !strings.HasSuffix(at, "Z") {
		t.Errorf("got %v, want level WARNING, the message, free_bytes 42 and a time in UTC", line)
	}
}

func TestParseLevel(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]slog.Level{
		"DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARNING": slog.LevelWarn, "ERROR": slog.LevelError, "warning": slog.LevelWarn,
	} {
		if got, err := logging.ParseLevel(name); err != nil || got != want {
			t.Errorf("ParseLevel(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "LOUD", "INFO "} {
		if _, err := logging.ParseLevel(name); err == nil || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("ParseLevel(%q) gives error %v, want one that names it", name, err)
		}
	}
}
