package importer

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"heartbeat/internal/format"
)

// part is a text to read: a file, or an entry of a zip archive.
type part struct {
	name   string // as people know it
	format format.Name
	reader io.Reader
}

// files visits the texts of files, directories and zip archives.
type files struct {
	options *Options
	read    func(n int) // is told of bytes that were read
	visit   func(part) error
	skipped func(name string) // is told of a file of another kind, found in a directory or an archive
	goOn    func(error) error // notes why a part cannot be read; returns the error only where the import ends
}

var errUnknownFormat = errors.New("this is no file of a known format, or lacks its columns: --format, --columns and --separator say what it is")

// path visits one path that was asked for.
func (f *files) path(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return f.file(path, true)
	}
	return filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return f.goOn(err)
		case entry.IsDir(), !entry.Type().IsRegular(), strings.HasPrefix(entry.Name(), "."):
			return nil
		}
		return f.goOn(f.file(path, false))
	})
}

// size is how many bytes a path has, as far as that is known before it is read.
func size(path string) (total int64) {
	_ = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

func (f *files) file(path string, asked bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var magic [4]byte
	if _, err := file.ReadAt(magic[:], 0); err == nil && string(magic[:]) == "PK\x03\x04" {
		return f.archive(path, file)
	}
	return f.text(path, &countingReader{file, f.read}, asked)
}

// archive visits the entries of a zip archive one after another, each as a stream. An archive within the archive is another kind of file.
func (f *files) archive(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(&countingReaderAt{file, f.read}, info.Size())
	if err != nil {
		return fmt.Errorf("%s: read the zip archive: %w", path, err)
	}
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		if err := f.goOn(f.entry(path, entry)); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) entry(path string, entry *zip.File) error {
	name := path + ":" + entry.Name
	text, err := entry.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer text.Close()
	return f.text(name, text, false)
}

func (f *files) text(name string, r io.Reader, asked bool) error {
	buffered := bufio.NewReaderSize(r, format.HeadBytes)
	kind := f.options.Format
	if kind == "" {
		head, err := buffered.Peek(format.HeadBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", name, err)
		}
		kind = format.Recognise(head, f.options.Reading)
	}
	switch {
	case kind != "":
		return f.visit(part{name: name, format: kind, reader: buffered})
	case asked:
		return fmt.Errorf("%s: %w", name, errUnknownFormat)
	default:
		f.skipped(name)
		return nil
	}
}

type countingReader struct {
	reader io.Reader
	count  func(n int)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.count(n)
	return n, err
}

type countingReaderAt struct {
	reader io.ReaderAt
	count  func(n int)
}

func (c *countingReaderAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.reader.ReadAt(p, at)
	c.count(n)
	return n, err
}
