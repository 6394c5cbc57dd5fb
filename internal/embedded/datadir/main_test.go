package datadir

import (
	"testing"

	"heartbeat/internal/testkit/child"
)

func TestMain(m *testing.M) {
	child.Main(m, child.Functions{
		"lock": func(dir string, _ int) (string, error) {
			_, err := Lock(dir)
			return "locked", err
		},
	})
}
