package datadir

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDefault(t *testing.T) {
	home := t.TempDir()
	tests := map[string]struct{ state, want string }{
		"the state directory of the user": {state: filepath.Join(home, "state"), want: filepath.Join(home, "state", "heartbeat")},
		"below home":                      {want: filepath.Join(home, ".local", "state", "heartbeat")},
		"not relative to where we are":    {state: "state", want: filepath.Join(home, ".local", "state", "heartbeat")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", home)
			t.Setenv("XDG_STATE_HOME", test.state)
			if os.Geteuid() == 0 {
				test.want = Root // PostgreSQL's user cannot enter root's home
			}
			if got, err := Default(); err != nil || got != test.want {
				t.Errorf("Default() = %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
