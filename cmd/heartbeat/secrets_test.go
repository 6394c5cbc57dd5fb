package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/bench"
)

// marker stands for a secret. No output may show it, nor half of it.
const marker = "SwordfishMarker"

// secrets are the variables that hold one.
var secrets = []string{
	"POSTGRES_PASSWORD", "KAFKA_SASL_PASSWORD", "HEARTBEAT_TOKEN", "GF_ADMIN_PASSWORD", "HEARTBEAT_ALERT_WEBHOOK",
	"HEARTBEAT_INGEST_PASSWORD", "HEARTBEAT_DASHBOARD_PASSWORD", "HEARTBEAT_OPERATOR_PASSWORD", "HEARTBEAT_NOTIFY_PASSWORD", "HEARTBEAT_GATEWAY_PASSWORD",
	"HEARTBEAT_GRAFANA_PASSWORD",
}

// wantNoMarker wants no secret in what a process printed.
func (p *program) wantNoMarker() {
	p.t.Helper()
	for name, text := range map[string]string{"standard output": p.stdout.String(), "standard error": p.stderr.String()} {
		for _, part := range []string{marker, marker[:9], marker[9:]} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
				p.t.Errorf("%v shows a secret on its %s:\n%s", p.cmd.Args[1:], name, text)
				return
			}
		}
	}
}

// brokenLines are ways in which a line of .env cannot be read.
var brokenLines = map[string]string{
	"unterminated quote": `%s="` + marker,
	"bad name":           "%s %%=" + marker,
	"no equals sign":     "%s " + marker + "!",
	"unset variable":     "%s=Swordfish$Marker",
	"required variable":  "%s=${UNSET:?" + marker + "}",
	"open brace":         "%s=${" + marker,
	"NUL":                "%s=" + marker + "\x00",
	"bad UTF-8":          "%s=" + marker + "\xff",
	"too long":           "%s=" + marker + strings.Repeat("x", 100_000),
}

// spread gives some commands all cases, and every other command two of them, each case to several commands: one piece of code
// reads the value for all commands.
func spread(commands map[string][]string, cases []string, all ...string) map[string][]string {
	spread := map[string][]string{}
	for i, name := range slices.Sorted(maps.Keys(commands)) {
		spread[name] = []string{cases[i%len(cases)], cases[(i+1)%len(cases)]}
	}
	for _, name := range all {
		spread[name] = cases
	}
	return spread
}

func TestBrokenDotEnvShowsNoSecret(t *testing.T) {
	t.Parallel()
	lines := commandLines(t)
	for name, kinds := range spread(lines, slices.Sorted(maps.Keys(brokenLines)), "consume", "version") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := lines[name]
			for _, kind := range kinds {
				text := brokenLines[kind]
				p := prepare(t, nil, line...)
				lines := []string{"# settings", "LOG_LEVEL=INFO"}
				for _, secret := range secrets {
					lines = append(lines, secret+"="+marker)
				}
				broken := len(lines) + 1
				lines = append(lines, strings.ReplaceAll(strings.ReplaceAll(text, "%s", "POSTGRES_PASSWORD"), "%%", "%"), "LOG_FORMAT=json", "")
				p.dotEnv(strings.Join(lines, "\n"))
				code := p.run()
				p.wantNoMarker()
				if name == "version" {
					if code != exitOK || p.stderr.String() != "" {
						t.Errorf("%s: version ends with code %d:\n%s", kind, code, p.stderr.String())
					}
					continue
				}
				if want := fmt.Sprintf("read .env: line %d: ", broken); code != exitUsage || !strings.Contains(p.stderr.String(), want) {
					t.Errorf("%s: code %d, want %d and %q:\n%s", kind, code, exitUsage, want, p.stderr.String())
				}
			}
		})
	}
}

// A quote that is not closed takes in the lines up to the next quote, and a file of an old Macintosh is one line: what follows a
// setting becomes a part of its value, which no message may show.
func TestValueOfSeveralLinesIsNotShown(t *testing.T) {
	t.Parallel()
	texts := []string{"%s=\"x\nPOSTGRES_PASSWORD=" + marker + "\n#\"\n", "%s='1\nHEARTBEAT_TOKEN=" + marker + "'\n", "%s=1\rKAFKA_SASL_PASSWORD=" + marker + "\r"}
	variables := append(flagVariables(newParser(&commands{}, io.Discard, io.Discard).Model.Node), "POSTGRES_PASSWORD")
	lines := commandLines(t)
	for i, variable := range variables {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			name := []string{"consume", "serve", "doctor", "notify run"}[i%4]
			p := prepare(t, nil, lines[name]...)
			p.dotEnv(strings.ReplaceAll(texts[i%len(texts)], "%s", variable))
			if code := p.run(); code == exitOK || !strings.Contains(p.stderr.String(), variable+": the value has a line break") {
				t.Errorf("%s: code %d, want a failure that names %s:\n%s", name, code, variable, p.stderr.String())
			}
			p.wantNoMarker()
		})
	}
}

func TestHelpWorksWithABrokenDotEnv(t *testing.T) {
	t.Parallel()
	for name, line := range commandLines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, nil, append(line, "--help")...)
			p.dotEnv(`POSTGRES_PASSWORD="` + marker)
			if code := p.run(); code != exitOK || !strings.Contains(p.stdout.String(), "Usage: heartbeat "+name) {
				t.Errorf("code %d, want %d and help:\n%s%s", code, exitOK, p.stdout.String(), p.stderr.String())
			}
			p.wantNoMarker()
		})
	}
}

// signsOfLife are what a role without servers prints once it has read its settings: it tries again, or it is a broker itself.
var signsOfLife = []string{"not reachable", "trying again", bench.BrokerGreeting}

// No server answers and every level is logged: what a role says while it tries shows no secret.
func TestRolesWithoutServersShowNoSecret(t *testing.T) {
	t.Parallel()
	settings := []string{
		"LOG_LEVEL=DEBUG", "POSTGRES_PORT=1", "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1", "KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SASL_USERNAME=user",
	}
	for _, secret := range secrets {
		settings = append(settings, secret+"="+marker)
	}
	for name, line := range commandLines(t) {
		switch {
		case name == "up" || strings.HasPrefix(name, "bench "):
			continue // they bring servers of their own
		case name == "bench":
			line = append(line, "--only", "drain", "--brokers", "127.0.0.1:1", "--database", "postgres://user@127.0.0.1:1/name")
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, settings, line...)
			p.cmd.Stdout = &p.stderr // which may be read while the process writes
			p.start()
			ended := make(chan int, 1)
			go func() { ended <- p.wait() }()
			interrupt := time.NewTicker(100 * time.Millisecond)
			defer interrupt.Stop()
			for running := true; running; {
				select {
				case <-ended:
					running = false
				case <-interrupt.C:
					if text := p.stderr.String(); slices.ContainsFunc(signsOfLife, func(sign string) bool { return strings.Contains(text, sign) }) {
						_ = p.cmd.Process.Signal(os.Interrupt) // fails once the process has ended
					}
				}
			}
			p.wantNoMarker()
		})
	}
}

// People put the secret itself where the name of its file belongs, or a whole URL where an address belongs.
func TestMisplacedSecretIsNotShown(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	markedEmpty := filepath.Join(t.TempDir(), marker)
	if err := os.WriteFile(markedEmpty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sasl := []string{"KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SASL_USERNAME=user"}
	for name, test := range map[string]struct {
		variables []string
		line      []string
		want      string
	}{
		"database password":  {[]string{"POSTGRES_PASSWORD_FILE=" + marker}, []string{"migrate"}, "POSTGRES_PASSWORD_FILE"},
		"empty file":         {[]string{"POSTGRES_PASSWORD_FILE=" + empty}, []string{"migrate"}, "POSTGRES_PASSWORD_FILE names: it is empty"},
		"password of up":     {[]string{"POSTGRES_PASSWORD_FILE=" + marker}, []string{"up"}, "POSTGRES_PASSWORD_FILE"},
		"console token":      {[]string{"HEARTBEAT_TOKEN_FILE=" + marker}, []string{"serve"}, "HEARTBEAT_TOKEN_FILE"},
		"broker password":    {append(sasl, "KAFKA_SASL_PASSWORD_FILE="+marker), []string{"produce"}, "KAFKA_SASL_PASSWORD_FILE"},
		"user in the broker": {[]string{"KAFKA_BOOTSTRAP_SERVERS=kafka://user:" + marker + "@kafka:9092"}, []string{"produce"}, "KAFKA_SASL_PASSWORD"},
		"bench's database":   {nil, []string{"bench", "--only", "drain", "--database", "postgres://user:a@" + marker + "@db.invalid/name"}, "DATABASE_URL"},
		"user in a URL":      {nil, []string{"healthcheck", "http://user:" + marker + "@127.0.0.1:1/readyz"}, "127.0.0.1:1"},
		"file of a password": {nil, []string{"user", "add", "anna", "--role", "viewer", "--password-file", marker}, "no such file"},
		"empty password":     {nil, []string{"user", "add", "anna", "--role", "viewer", "--password-file", markedEmpty}, "there is no password"},
		"no URL":             {nil, []string{"healthcheck", "http://user:" + marker + "%@127.0.0.1:1/"}, "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, test.variables, test.line...)
			if code := p.run(); code == exitOK || !strings.Contains(p.stderr.String(), test.want) {
				t.Errorf("code %d, want a failure that names %s:\n%s", code, test.want, p.stderr.String())
			}
			p.wantNoMarker()
		})
	}
}

// A password that is not percent-encoded could be taken for a host: every command refuses the URL before it looks up a name.
func TestBrokenDatabaseURLIsNotShown(t *testing.T) {
	t.Parallel()
	passwords := []string{"a@" + marker, "a/" + marker, "a#" + marker, "a?" + marker, "a%" + marker, marker + "/a@b", marker + " a"}
	commands := databaseCommands(t)
	for name, passwords := range spread(commands, passwords, "consume", "serve") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, password := range passwords {
				p := prepare(t, []string{"DATABASE_URL=postgres://user:" + password + "@db.invalid/name", "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1"}, commands[name]...)
				if code := p.run(); code == exitOK || !strings.Contains(p.stdout.String()+p.stderr.String(), "DATABASE_URL") {
					t.Errorf("code %d, want a failure that names DATABASE_URL:\n%s", code, p.stderr.String())
				}
				p.wantNoMarker()
			}
		})
	}
}

// databaseCommands returns the command lines that read DATABASE_URL.
func databaseCommands(t *testing.T) map[string][]string {
	t.Helper()
	lines := commandLines(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("long enough a password"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, leaf := range newParser(&commands{}, io.Discard, io.Discard).Model.Leaves(false) {
		if !slices.Contains(flagVariables(leaf), "DATABASE_URL") {
			words := slices.DeleteFunc(strings.Fields(leaf.Path()), func(word string) bool { return strings.HasPrefix(word, "<") })
			delete(lines, strings.Join(words, " "))
		}
	}
	for _, name := range []string{"user add", "user passwd"} {
		lines[name] = append(lines[name], "--password-file", file)
	}
	for _, name := range []string{"migrate", "consume", "serve", "verify", "doctor", "alarm list", "limits list", "user add"} {
		if lines[name] == nil {
			t.Errorf("%s does not read DATABASE_URL", name)
		}
	}
	return lines
}

// A variable of libpq that cannot be used is named, and neither its value nor another one is shown.
func TestBrokenLibpqVariableIsNamed(t *testing.T) {
	t.Parallel()
	services := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(services, []byte("[known]\npassword="+marker+"\n[odd]\nsslmode="+marker+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, variables := range map[string][]string{
		"PGSERVICE":                           {"PGSERVICE=" + marker, "PGSERVICEFILE=" + services},
		"PGSERVICE names":                     {"PGSERVICE=" + marker, "PGSSLMODE=disable"},
		"the environment variable PGSERVICE ": {"PGSERVICE=odd", "PGSERVICEFILE=" + services},
		"PGPORT":                              {"PGPORT=" + marker},
		"PGSSLMODE":                           {"PGSSLMODE=" + marker, "PGAPPNAME=" + marker},
		"PGSSLROOTCERT":                       {"PGSSLROOTCERT=" + services, "PGSSLMODE=verify-full"},
		"PGTARGETSESSIONATTRS":                {"PGTARGETSESSIONATTRS=" + marker},
		"PGCONNECT_TIMEOUT":                   {"PGCONNECT_TIMEOUT=" + marker},
		"PGCHANNELBINDING":                    {"PGCHANNELBINDING=" + marker},
		"PGREQUIREAUTH":                       {"PGREQUIREAUTH=" + marker},
		"PGSSLCERTMODE":                       {"PGSSLCERTMODE=" + marker},
		"PGMINPROTOCOLVERSION":                {"PGMINPROTOCOLVERSION=" + marker},
		"one of the environment variables PGPORT, PGSSLMODE": {"PGPORT=" + marker, "PGSSLMODE=" + marker},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, append(variables, "DATABASE_URL=postgres://user@127.0.0.1/name"), "migrate")
			if code := p.run(); code == exitOK || !strings.Contains(p.stderr.String(), name) || !strings.Contains(p.stderr.String(), "correct it") {
				t.Errorf("code %d, want a failure that names the variable:\n%s", code, p.stderr.String())
			}
			p.wantNoMarker()
		})
	}
}
