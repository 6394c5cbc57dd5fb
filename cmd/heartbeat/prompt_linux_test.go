package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/users"
)

// pseudoTerminal returns the two ends of a terminal: what a person types into, and what a program reads.
func pseudoTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// awaitHidden returns once the terminal does not show what is typed.
func awaitHidden(t *testing.T, terminal *os.File) {
	t.Helper()
	pgtest.Await(t, "the terminal to hide what is typed", func() bool {
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		return err == nil && state.Lflag&unix.ECHO == 0
	})
}

func TestPasswordIsAskedForTwiceAndNotShown(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for _, test := range []struct {
		name, first, second string
		code                int
		want                string
	}{
		{"anna", "correct horse battery", "correct horse battery", exitOK, "added anna as viewer"},
		{"ben", "correct horse battery", "another horse battery", exitFailure, "the two passwords differ: nothing was changed"},
		{"carl", "short", "", exitFailure, "5 characters: want 12 or more"},
	} {
		person, terminal := pseudoTerminal(t)
		p := prepare(t, nil, "user", "add", test.name, "--role", "viewer", "--database", pgtest.URL(pool))
		p.cmd.Stdin = terminal
		p.start()
		for _, step := range []struct{ prompt, typed string }{{"Password of " + test.name + ": ", test.first}, {"The same again: ", test.second}} {
			if step.typed == "" {
				continue
			}
			p.await(step.prompt)
			awaitHidden(t, terminal)
			if _, err := person.WriteString(step.typed + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		code := p.wait()
		if printed := p.stdout.String() + p.stderr.String(); code != test.code || !strings.Contains(printed, test.want) || strings.Contains(printed, test.first) {
			t.Errorf("%s: code %d, want %d and %q without the password:\n%s", test.name, code, test.code, test.want, printed)
		}
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil || state.Lflag&unix.ECHO == 0 {
			t.Errorf("%s: the terminal is left without echo (%v)", test.name, err)
		}
	}
	pgtest.WantRows(t, pool, `SELECT name FROM console_users`, "anna")
	hash := pgtest.Value[string](t, pool, `SELECT password_hash FROM console_users`)
	if same, err := users.VerifyPassword(hash, "correct horse battery"); err != nil || !same {
		t.Errorf("the stored hash is not the password's: %v", err)
	}
}
