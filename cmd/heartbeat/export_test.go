package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heartbeat/internal/export"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgtest"
)

func TestExportSaysWhatItWroteAndWhyNot(t *testing.T) {
	t.Parallel()
	store, pool := pgtest.NewStore(t)
	pgtest.MustWrite(t, store, pgtest.MustClaim(t, store, pgtest.Partition, 0), pgtest.BatchOf([]pipeline.Reading{
		pgtest.Reading(0, 42, 75, pgtest.Noon), pgtest.Reading(1, 42, 30, pgtest.Noon), pgtest.Reading(2, 43, 75, pgtest.Noon),
	}))
	command := commandsOn(t, pool)
	path := filepath.Join(t.TempDir(), "readings.csv")
	code, stdout, stderr := command("export", "--customer", "CUST_00042,CUST_00042", "--output", path, "--json")
	var summary export.Summary
	if err := json.Unmarshal([]byte(stdout), &summary); code != exitOK || err != nil || summary.Readings != 2 || summary.Anomalies != 1 || summary.Output != path || summary.Files != 1 {
		t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	written, err := os.ReadFile(path)
	if err != nil || int64(strings.Count(string(written), "\n")) != summary.Readings+1 {
		t.Errorf("the file has %d lines, %v; want a header and %d readings", strings.Count(string(written), "\n"), err, summary.Readings)
	}
	if code, stdout, stderr := command("export", "--customer", "CUST_00042"); code != exitOK || stdout != string(written) || !strings.Contains(stderr, "exported ") {
		t.Errorf("exit code %d; the standard output differs from the file:\n%s\nsummary: %s", code, stdout, stderr)
	}
	for _, test := range []struct{ args, want string }{
		{"--customer CUST_00042 --output " + path, "exists already: remove it, or choose another --output"},
		{"--customer CUST_00077", "no reading of CUST_00077 was ever stored: check the id"},
		{"--cohort icu", "no customer is in cohort icu"},
		{"--customer CUST_00042 --to 2001-01-01T00:00:00Z", "no reading of CUST_00042 is stored in that time"},
	} {
		code, stdout, stderr := command(append([]string{"export"}, strings.Fields(test.args)...)...)
		if code != exitFailure || !strings.Contains(stderr, test.want) || stdout != "" {
			t.Errorf("export %s: exit code %d, want %q: %s%s", test.args, code, test.want, stdout, stderr)
		}
	}
}
