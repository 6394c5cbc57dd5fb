// Package freeport chooses ports for the servers of tests.
//
// It refuses to reserve them: a port is free when it is chosen. Its functions may be called from any goroutine. It is not on the
// path of a reading.
package freeport

import (
	"testing"

	"heartbeat/internal/port"
)

// Port returns a port of this machine on which nothing listens.
func Port(t testing.TB) int {
	t.Helper()
	chosen, err := port.Choose(0, false)
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// Address returns the loopback address of such a port, as host:port.
func Address(t testing.TB) string {
	t.Helper()
	return port.Address(Port(t))
}
