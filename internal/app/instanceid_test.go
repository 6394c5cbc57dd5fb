package app

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
	claim := func() instanceID {
		id := claimInstanceID(ConsumeOptions{StateDir: dir}, logger)
		if id.name == "" || !id.chosen {
			t.Fatalf("claimed %+v, want a chosen name", id)
		}
		return id
	}
	first, second := claim(), claim()
	if first.name == second.name {
		t.Fatalf("two live consumers have the name %s", first.name)
	}
	first.release()
	again := claim()
	if again.name != first.name {
		t.Errorf("after a restart the name is %s, want %s", again.name, first.name)
	}
	again.release()
	second.release()
	other := claimInstanceID(ConsumeOptions{StateDir: t.TempDir()}, logger)
	defer other.release()
	if other.name == first.name {
		t.Errorf("two state directories have the same name %s", other.name)
	}
}

func TestInstanceIDIsOptional(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id := claimInstanceID(ConsumeOptions{StateDir: file}, slog.New(slog.NewTextHandler(&log, nil)))
	defer id.release()
	if id.name != "" || !strings.Contains(log.String(), "session timeout") {
		t.Errorf("claimed %q below a file, want no name and a line in the log:\n%s", id.name, log.String())
	}
	given := claimInstanceID(ConsumeOptions{InstanceID: "ward-1", StateDir: file}, slog.New(slog.DiscardHandler))
	defer given.release()
	if given.name != "ward-1" || given.chosen {
		t.Errorf("claimed %+v, want the user's own name", given)
	}
}
