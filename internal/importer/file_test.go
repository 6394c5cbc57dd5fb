package importer

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/format"
)

const ndjson = `{"heart_rate":72,"timestamp":"2026-02-20T10:00:00Z"}` + "\n"

// visited is what is found under a path: the texts to read, and how many others there are.
func visited(t *testing.T, options Options, path string) (found map[string]format.Name, skipped int, err error) {
	t.Helper()
	found = map[string]format.Name{}
	var faults []error
	f := files{options: &options, read: func(int) {}, skipped: func(string) { skipped++ }, visit: func(p part) error {
		found[filepath.Base(p.name)] = p.format
		_, err := io.Copy(io.Discard, p.reader)
		return err
	}, goOn: func(err error) error {
		faults = append(faults, err)
		return nil
	}}
	err = f.path(path)
	return found, skipped, errors.Join(append(faults, err)...)
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// zipped is an archive; each entry has its content as often as repeat says.
func zipped(t *testing.T, repeat int, entries map[string]string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	for name, content := range entries {
		entry, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		for range repeat {
			if _, err := io.WriteString(entry, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestFilesOfADirectory(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	inner := zipped(t, 1, map[string]string{"readings": ndjson})
	write(t, filepath.Join(directory, "a", "one"), []byte(ndjson))
	write(t, filepath.Join(directory, "a", "b", "two.zip"), zipped(t, 1, map[string]string{"x/three": ndjson, "inner.zip": string(inner), "notes.txt": "hello"}))
	write(t, filepath.Join(directory, "photo.jpg"), []byte("\xff\xd8\xff"))
	write(t, filepath.Join(directory, ".hidden"), []byte(ndjson))
	write(t, filepath.Join(directory, "empty"), nil)
	if err := os.Symlink(filepath.Join(directory, "a"), filepath.Join(directory, "loop")); err != nil {
		t.Fatal(err)
	}
	found, skipped, err := visited(t, Options{}, directory)
	want := map[string]format.Name{"one": format.NewlineDelimited, "three": format.NewlineDelimited}
	if diff := cmp.Diff(want, found); diff != "" || skipped != 4 || err != nil {
		t.Errorf("%d files are of another kind, want 4; error %v; texts (-want +got):\n%s", skipped, err, diff)
	}
	if _, _, err := visited(t, Options{}, filepath.Join(directory, "photo.jpg")); err == nil {
		t.Error("a picture that was asked for is no error")
	}
	if found, _, err := visited(t, Options{Format: format.FHIRJSON}, filepath.Join(directory, "photo.jpg")); err != nil || found["photo.jpg"] != format.FHIRJSON {
		t.Errorf("with a given format the file is read as %v, %v", found, err)
	}
}

// An archive that unpacks to a thousand times its size is read as a stream.
func TestArchiveThatUnpacksToMuch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bomb.zip")
	bomb := zipped(t, 64, map[string]string{"a.ndjson": ndjson + string(bytes.Repeat([]byte{'\n'}, 1<<20-len(ndjson)))})
	if len(bomb) > 80<<10 {
		t.Fatalf("the archive has %d bytes", len(bomb))
	}
	write(t, path, bomb)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, _, err := visited(t, Options{}, path); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 2<<20 {
		t.Errorf("reading it allocated %d MiB in all, want at most 2", allocated>>20)
	}
}

func TestArchivesThatAreDamaged(t *testing.T) {
	t.Parallel()
	whole := zipped(t, 100, map[string]string{"a.ndjson": ndjson})
	for name, content := range map[string][]byte{
		"cut":    whole[:len(whole)/2],
		"no end": []byte("PK\x03\x04"),
	} {
		path := filepath.Join(t.TempDir(), "damaged.zip")
		write(t, path, content)
		if found, _, err := visited(t, Options{}, path); err == nil {
			t.Errorf("an archive that is %s reads as %v without an error", name, found)
		}
	}
}

// One file that cannot be read is one fault: the others of its directory or archive are read.
func TestDamagedFileLeavesTheOthers(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	write(t, filepath.Join(directory, "1"), []byte(ndjson))
	write(t, filepath.Join(directory, "2.zip"), []byte("PK\x03\x04"))
	write(t, filepath.Join(directory, "3"), []byte(ndjson))
	archive := zipped(t, 1, map[string]string{"4": ndjson, "5": ndjson})
	local := bytes.Index(archive, []byte("PK\x01\x02")) // the method of the first entry in the central directory
	archive[local+10] = 99
	write(t, filepath.Join(directory, "6.zip"), archive)
	found, _, err := visited(t, Options{}, directory)
	if len(found) != 3 || found["1"] == "" || found["3"] == "" || found["6.zip:4"]+found["6.zip:5"] == "" {
		t.Errorf("found %v, want 1, 3, and one of 4 and 5", found)
	}
	if err == nil || !strings.Contains(err.Error(), "2.zip") || !strings.Contains(err.Error(), "6.zip") {
		t.Errorf("the faults are %v, want those of 2.zip and 6.zip", err)
	}
}
