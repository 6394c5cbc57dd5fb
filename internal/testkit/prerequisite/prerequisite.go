// Package prerequisite ends tests that need what this machine lacks: a laptop skips them, under CI=true they fail, so that the
// gate cannot pass without them.
//
// It refuses to install anything: the message says what to install. It keeps no state, and is not on the path of a reading.
package prerequisite

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Missing ends a test that lacks something: it skips the test, or fails it under CI=true.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// Program returns the path of a program, which a package of Debian has.
func Program(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "%s is missing: apt-get install %s", name, debian)
	}
	return path
}
