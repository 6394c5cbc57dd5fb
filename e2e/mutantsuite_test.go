//go:build mutants

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The suite fails on each mutant and names the broken promise.
func TestMutantsAreFound(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t)
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			pattern := "^" + strings.ReplaceAll(m.scenario, "/", "$/^") + "$"
			run := exec.CommandContext(ctx, self, append([]string{"-test.run", pattern, "-test.count", "1"}, m.options...)...)
			run.Env = append(os.Environ(), "HEARTBEAT_TEST_OVERLAY="+overlay)
			output, err := run.CombinedOutput()
			text := string(output)
			switch {
			case strings.Contains(text, "build heartbeat:"):
				t.Fatalf("the defect does not compile any more:\n%s", text)
			case err == nil:
				t.Errorf("%s passes: it does not test %s", m.scenario, m.promise)
			case !strings.Contains(text, m.promise) || !strings.Contains(text, m.message):
				t.Errorf("%s fails without naming %s or %q:\n%s", m.scenario, m.promise, m.message, tail(text, 60))
			default:
				t.Logf("%s is found broken by %s: %s", m.promise, m.scenario, lineWith(text, m.message))
			}
		})
	}
}

// lineWith returns the first line that contains the text.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
