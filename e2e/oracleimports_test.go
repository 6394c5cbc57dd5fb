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

// importers are the files that may import the product's packages, because they check no reading.
var importers = []string{"alarmoracle_test.go", "security_test.go"}

// An oracle that shares code with the consumer would share its errors.
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
			if ours && !slices.Contains(importers, file) {
				t.Errorf("%s imports %s: only %v may import the product's packages, others only its servers", file, name, importers)
			}
		}
	}
}
