package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/ulikunitz/xz"
)

// repository is Maven Central, which has PostgreSQL's programs for each platform as the project embedded-postgres-binaries
// builds them: a jar with one tar archive.
const repository = "https://repo1.maven.org/maven2/io/zonky/test/postgres/"

// maxDownload is several times the size of any of the archives.
const maxDownload = 256 << 20

// artifact returns the address of a version's jar for this platform.
func artifact(version string) string {
	_, err := os.Stat("/etc/alpine-release")
	name := "embedded-postgres-binaries-" + runtime.GOOS + "-" + architecture(runtime.GOARCH, err == nil)
	return repository + name + "/" + version + "/" + name + "-" + version + ".jar"
}

// architecture is the project's name for a processor, and for musl instead of glibc.
func architecture(goarch string, alpine bool) string {
	if goarch == "arm64" {
		goarch = "arm64v8"
	}
	if alpine {
		goarch += "-alpine"
	}
	return goarch
}

// download returns a jar whose SHA-256 is the published one.
func download(ctx context.Context, address string) ([]byte, error) {
	jar, err := get(ctx, address)
	if err != nil {
		return nil, err
	}
	published, err := get(ctx, address+".sha256")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(jar)
	if got := hex.EncodeToString(sum[:]); got != strings.TrimSpace(string(published)) {
		return nil, fmt.Errorf("%s: SHA-256 %s is not the published one", address, got)
	}
	return jar, nil
}

func get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", address, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxDownload))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", address, err)
	}
	return content, nil
}

// unpack extracts the tar archive within a jar into a new directory. Names that lead out of the directory are errors.
func unpack(ctx context.Context, jar []byte, dir string) error {
	files, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return fmt.Errorf("open jar: %w", err)
	}
	for _, file := range files.File {
		if path.Ext(file.Name) != ".txz" {
			continue
		}
		compressed, err := file.Open()
		if err != nil {
			return fmt.Errorf("open %s: %w", file.Name, err)
		}
		defer compressed.Close()
		if err := extract(ctx, compressed, dir); err != nil {
			return fmt.Errorf("unpack %s: %w", file.Name, err)
		}
		return nil
	}
	return errors.New("unpack jar: it holds no .txz archive")
}

func extract(ctx context.Context, compressed io.Reader, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	content, err := xz.NewReader(compressed)
	if err != nil {
		return err
	}
	for archive := tar.NewReader(content); ctx.Err() == nil; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extractEntry(root, header, archive); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	return ctx.Err()
}

func extractEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if err := mkdirAll(root, path.Dir(name)); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return mkdirAll(root, name)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Chmod(header.FileInfo().Mode().Perm()), file.Close())
	default:
		return nil
	}
}

// mkdirAll makes directories that every user may enter, whatever the umask is.
func mkdirAll(root *os.Root, name string) error {
	const mode = 0o755
	if name == "." {
		return root.Chmod(name, mode)
	}
	if err := mkdirAll(root, path.Dir(name)); err != nil {
		return err
	}
	if err := root.Mkdir(name, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return root.Chmod(name, mode)
}
