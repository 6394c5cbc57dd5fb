package logging_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"heartbeat/internal/logging"
)

// terminal returns both ends of a new pseudo-terminal.
func terminal(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return screen, program
}

func TestColourIsForTerminalsThatWantIt(t *testing.T) {
	for name, test := range map[string]struct {
		noColor, term string
		want          bool
	}{
		"a terminal":       {"", "xterm-256color", true},
		"NO_COLOR":         {"1", "xterm-256color", false},
		"NO_COLOR, empty":  {"", "xterm", true},
		"a dumb terminal":  {"", "dumb", false},
		"neither is known": {"", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColor)
			t.Setenv("TERM", test.term)
			screen, program := terminal(t)
			logging.New(program, slog.LevelInfo, logging.Auto).Warn("disk nearly full", "path", "/var")
			text := make([]byte, 1024)
			n, err := screen.Read(text)
			if err != nil {
				t.Fatal(err)
			}
			line := string(text[:n])
			if coloured := strings.Contains(line, "\x1b["); coloured != test.want {
				t.Errorf("coloured is %t, want %t: %q", coloured, test.want, line)
			}
			if !strings.Contains(line, "WARNING") || !strings.Contains(line, "disk nearly full") || !strings.Contains(line, "/var") {
				t.Errorf("the line is %q", line)
			}
		})
	}
}
