package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"heartbeat/internal/device"
	"heartbeat/internal/postgres/pgtest"
)

func TestDevicesFromTheCommandLine(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	command := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(args, "--database", pgtest.URL(pool)), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	token := regexp.MustCompile(`^hb_[A-Za-z0-9_-]{43}\n$`)
	var tokens []string
	for _, step := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"device list", 0, "SENDS FOR"},
		{"device add Watch-7 --customer CUST_00042", 0, "added watch-7"},
		{"device add watch-7 --all", 1, "add device watch-7: the device exists already"},
		{"device add ward-gateway --cohort ward --rate 250", 0, "cannot be shown again"},
		{"device add importer --all", 0, "valid within 5 s"},
		{"device add other", 2, "one of --customer, --cohort and --all"},
		{"device add other --all --cohort ward", 2, "one of --customer, --cohort and --all"},
		{"device add other --customer CUST_7", 2, "parse customer id"},
		{"device add other --cohort=", 2, "want 1 to 64 bytes"},
		{"device add other --all --rate=-1", 2, "want more than 0"},
		{"device add other --all --rate=0", 2, "want more than 0"},
		{"device add other --all --rate=NaN", 2, "want more than 0"},
		{"device add a'b --all", 2, "want 1 to 64 of"},
		{"device rotate watch-7", 0, "the one before ends in 10m0s"},
		{"device rotate watch-7 --overlap 0s", 0, "rotated the token of watch-7"},
		{"device rotate watch-7 --overlap 169h", 2, "want 0 to 168h"},
		{"device rotate watch-7 --overlap=-1s", 2, "want 0 to 168h"},
		{"device rotate other", 1, "there is no such device"},
		{"device revoke Watch-7", 0, "revoked watch-7; its tokens end within 5 s"},
		{"device revoke watch-7", 0, "revoked watch-7"},
		{"device revoke other", 1, "there is no such device"},
		{"device rotate watch-7", 1, "revoked for good"},
	} {
		code, stdout, stderr := command(strings.Fields(step.args)...)
		if code != step.code || !strings.Contains(stdout+stderr, step.want) {
			t.Errorf("%s: code %d, want %d and %q:\n%s%s", step.args, code, step.code, step.want, stdout, stderr)
		}
		if code == 0 && regexp.MustCompile("^device (add|rotate)").MatchString(step.args) {
			if !token.MatchString(stdout) {
				t.Errorf("%s: standard output is %q, want the token alone", step.args, stdout)
			}
			tokens = append(tokens, strings.TrimSpace(stdout))
		} else if strings.Contains(stdout+stderr, "hb_") {
			t.Errorf("%s shows a token:\n%s%s", step.args, stdout, stderr)
		}
	}
	_, text, _ := command("device", "list")
	for _, want := range []string{"CUST_00042", "cohort ward", "250/s", "default"} {
		if !strings.Contains(text, want) {
			t.Errorf("the list does not show %q:\n%s", want, text)
		}
	}
	_, stdout, _ := command("device", "list", "--json")
	var all []device.Registration
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	if len(all) != 3 || all[0].Name != "importer" || all[0].RevokedAt != nil || all[2].RevokedAt == nil || all[2].RotatedAt == nil || *all[1].Rate != 250 {
		t.Errorf("the devices are\n%s", stdout)
	}
	rows := pgtest.Value[string](t, pool, `SELECT string_agg(devices::text, ' ') FROM devices`)
	for _, token := range tokens {
		if strings.Contains(rows+text+stdout, token) {
			t.Errorf("the token %s is stored or listed", token)
		}
	}
	if hash := device.HashToken(tokens[2]); !pgtest.Value[bool](t, pool, `SELECT token_hash = $1 FROM devices WHERE name = 'importer'`, hash[:]) {
		t.Error("the stored hash is not that of the token")
	}
}
