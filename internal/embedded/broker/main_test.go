package broker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"heartbeat/internal/testkit/child"
)

func TestMain(m *testing.M) {
	child.Main(m, child.Functions{
		"broker": func(dir string, port int) (string, error) {
			b, err := Start(context.Background(), Options{Dir: dir, Port: port, PortAsked: true})
			if err != nil {
				return "", err
			}
			return b.Address(), nil
		},
	})
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// await waits until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited 20 s until %s", what)
		}
	}
}
