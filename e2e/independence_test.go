package e2e_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An oracle that shares code with what it judges would share its errors. The one file that may call the product's
// client tests that client against a secured broker, and judges no reading.
func TestOracleSharesNoCodeWithTheConsumer(t *testing.T) {
	t.Parallel()
	servers := []string{"heartbeat/internal/embedded/", "heartbeat/internal/testkit/", "heartbeat/internal/port", "heartbeat/internal/process"}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours := strings.HasPrefix(name, "heartbeat/") && !slices.ContainsFunc(servers, func(s string) bool { return strings.HasPrefix(name, s) })
			if ours && file != "security_test.go" {
				t.Errorf("%s imports %s; of the product it may import the servers alone", file, name)
			}
		}
	}
}
