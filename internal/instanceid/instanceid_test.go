package instanceid

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstanceIDsAreReusedAndNeverShared(t *testing.T) {
	t.Parallel()
	dir, logger := t.TempDir(), slog.New(slog.DiscardHandler)
	claim := func() ID {
		id := Claim(Options{StateDir: dir}, logger)
		if id.Name == "" || !id.Chosen {
			t.Fatalf("claimed %+v, want a chosen name", id)
		}
		return id
	}
	first, second := claim(), claim()
	if first.Name == second.Name {
		t.Fatalf("two live consumers have the name %s", first.Name)
	}
	first.Release()
	again := claim()
	if again.Name != first.Name {
		t.Errorf("after a restart the name is %s, want %s", again.Name, first.Name)
	}
	again.Release()
	second.Release()
	other := Claim(Options{StateDir: t.TempDir()}, logger)
	defer other.Release()
	if other.Name == first.Name {
		t.Errorf("two state directories have the same name %s", other.Name)
	}
}

func TestInstanceIDIsOptional(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id := Claim(Options{StateDir: file}, slog.New(slog.NewTextHandler(&log, nil)))
	defer id.Release()
	if id.Name != "" || !strings.Contains(log.String(), "session timeout") {
		t.Errorf("claimed %q below a file, want no name and a line in the log:\n%s", id.Name, log.String())
	}
	given := Claim(Options{Given: "ward-1", StateDir: file}, slog.New(slog.DiscardHandler))
	defer given.Release()
	if given.Name != "ward-1" || given.Chosen {
		t.Errorf("claimed %+v, want the user's own name", given)
	}
}
