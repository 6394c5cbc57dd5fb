package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/users"
)

func TestUsersFromTheCommandLine(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	command := func(args ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(args, "--database", pgtest.URL(pool)), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, short, twoLines, empty := file("correct horse battery\r\n"), file("short\n"), file("correct horse\nbattery staple\n"), file("\n")
	for _, step := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"user list", 0, "LAST SIGN-IN"},
		{"user add Anna --role operator --password-file " + good, 0, "added anna as operator"},
		{"user add anna --role viewer --password-file " + good, 1, "add user anna: the user exists already"},
		{"user add ben --role viewer --no-password", 0, "added ben as viewer"},
		{"user add carl --role viewer --password-file " + short, 1, "5 characters: want 12 or more"},
		{"user add carl --role viewer --password-file " + twoLines, 1, "control character"},
		{"user add carl --role viewer --password-file " + empty, 1, "there is no password"},
		{"user add carl --role viewer --password-file /does/not/exist", 1, "no such file"},
		{"user add carl --role root --password-file " + good, 2, "viewer"},
		{"user add carl --password-file " + good, 2, "--role"},
		{"user add local --role admin --password-file " + good, 2, "stands for requests without a user"},
		{"user add a'b --role admin --password-file " + good, 2, "want 1 to 64 of"},
		{"user passwd anna --password-file " + good, 0, "sessions end within 5 s"},
		{"user passwd carl --password-file " + good, 1, "there is no such user"},
		{"user disable ben", 0, "disabled ben"},
		{"user enable ben --role admin", 0, "enabled ben"},
		{"user disable carl", 1, "there is no such user"},
		{"user enable carl", 1, "there is no such user"},
	} {
		code, stdout, stderr := command(strings.Fields(step.args)...)
		if code != step.code || !strings.Contains(stdout+stderr, step.want) {
			t.Errorf("%s: code %d, want %d and %q:\n%s%s", step.args, code, step.code, step.want, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "horse") {
			t.Errorf("%s shows the password:\n%s%s", step.args, stdout, stderr)
		}
	}
	_, stdout, _ := command("user", "list", "--json")
	var all []users.User
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	if len(all) != 2 || all[0].Name != "anna" || all[0].Role != users.Operator || all[1].Role != users.Admin || all[1].HasPassword || strings.Contains(stdout, "argon2") {
		t.Errorf("the users are\n%s", stdout)
	}
	hash := pgtest.Value[string](t, pool, `SELECT password_hash FROM console_users WHERE name = 'anna'`)
	if same, err := users.VerifyPassword(hash, "correct horse battery"); err != nil || !same {
		t.Errorf("the stored hash is not the password's: %v", err)
	}
}

func TestPasswordFromStandardInput(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for input, want := range map[string]string{"correct horse battery\n": "", "": "there is no password in standard input", strings.Repeat("x", 5000): "bytes: 1024 at most"} {
		p := prepare(t, nil, "user", "add", "anna", "--role", "viewer", "--database", pgtest.URL(pool))
		p.cmd.Stdin = strings.NewReader(input)
		if code := p.run(); (code == exitOK) != (want == "") || !strings.Contains(p.stderr.String(), want) {
			t.Errorf("%.30q: code %d, want %q:\n%s", input, code, want, p.stderr.String())
		}
	}
}
