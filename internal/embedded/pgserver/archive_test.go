package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// jar returns an archive as the repository has them, with these entries.
func jar(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var compressed bytes.Buffer
	compressor, err := xz.NewWriter(&compressed)
	if err != nil {
		t.Fatal(err)
	}
	writer := tar.NewWriter(compressor)
	for _, header := range entries {
		content := "content of " + header.Name
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(content))
		}
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			if _, err := writer.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressor.Close(); err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	archive := zip.NewWriter(&files)
	file, err := archive.Create("postgres-test.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(compressed.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return files.Bytes()
}

func TestUnpackKeepsModesAndLinks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "unpacked")
	err := unpack(t.Context(), jar(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeReg, Name: "./bin/postgres", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "lib/libpq.so", Linkname: "libpq.so.5"},
		tar.Header{Typeflag: tar.TypeReg, Name: "lib/libpq.so.5", Mode: 0o644},
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "bin", "postgres"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the program has mode %v, %v; want 0755", info, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "lib", "libpq.so")); err != nil || string(got) != "content of lib/libpq.so.5" {
		t.Errorf("through the link: %q, %v", got, err)
	}
}

func TestUnpackStaysInItsDirectory(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]tar.Header{
		"a name with dots": {{Typeflag: tar.TypeReg, Name: "../outside", Mode: 0o644}},
		"a link outside": {
			{Typeflag: tar.TypeSymlink, Name: "out", Linkname: ".."},
			{Typeflag: tar.TypeReg, Name: "out/outside", Mode: 0o644},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			if err := unpack(t.Context(), jar(t, entries...), filepath.Join(parent, "unpacked")); err == nil {
				t.Error("unpacked without an error")
			}
			if _, err := os.Stat(filepath.Join(parent, "outside")); !os.IsNotExist(err) {
				t.Errorf("outside the directory: %v, want that nothing is there", err)
			}
		})
	}
}

func TestDownloadComparesTheChecksum(t *testing.T) {
	t.Parallel()
	const content = "a jar"
	sum := sha256.Sum256([]byte(content))
	published := hex.EncodeToString(sum[:])
	for name, test := range map[string]struct {
		published string
		status    int
		want      string // in the error
	}{
		"the same":     {published: published, status: http.StatusOK},
		"another":      {published: strings.Repeat("0", 64), status: http.StatusOK, want: "SHA-256"},
		"no checksum":  {status: http.StatusNotFound, want: ".sha256: 404"},
		"server error": {published: published, status: http.StatusBadGateway, want: "502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".sha256") {
					w.WriteHeader(test.status)
					w.Write([]byte(test.published))
					return
				}
				w.Write([]byte(content))
			}))
			defer server.Close()
			got, err := download(t.Context(), server.URL+"/a.jar")
			if test.want == "" && (err != nil || string(got) != content) {
				t.Errorf("got %q, %v", got, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestDownloadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := download(ctx, server.URL+"/a.jar"); err == nil {
		t.Error("downloaded from a server that never answers")
	}
}
