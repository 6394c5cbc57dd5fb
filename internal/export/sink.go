package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"heartbeat/internal/readmodel"
)

// sink takes readings. Without finish, discard removes all of it.
type sink interface {
	write(r *readmodel.Reading) error
	finish() (files int, bytes int64, err error)
	discard()
}

func openSink(options Options) (sink, error) {
	if options.Format == Parquet {
		if options.Output == "-" {
			return nil, errStdout
		}
		return newParquetSink(options.Output)
	}
	formats := Texts()
	i := slices.IndexFunc(formats, func(t Text) bool { return t.Name == options.Format })
	if i < 0 {
		return nil, fmt.Errorf("export: format %q: want csv, ndjson, fhir or parquet", options.Format)
	}
	if options.Output == "-" {
		return newTextSink(formats[i], options.Stdout), nil
	}
	file, err := createFile(options.Output)
	if err != nil {
		return nil, err
	}
	s := newTextSink(formats[i], file)
	s.file = file
	return s, nil
}

type textSink struct {
	format  Text
	out     *bufio.Writer
	file    *wholeFile // nil for a stream
	line    []byte
	written int64
}

func newTextSink(format Text, w io.Writer) *textSink {
	return &textSink{format: format, out: bufio.NewWriterSize(w, 64<<10)}
}

func (s *textSink) write(r *readmodel.Reading) error {
	s.line = s.line[:0]
	if s.written == 0 {
		s.line = append(s.line, s.format.Header...)
	}
	s.line = s.format.Append(s.line, r)
	s.written += int64(len(s.line))
	if _, err := s.out.Write(s.line); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

func (s *textSink) finish() (int, int64, error) {
	if err := s.out.Flush(); err != nil {
		return 0, 0, fmt.Errorf("write export: %w", err)
	}
	if s.file == nil {
		return 0, s.written, nil
	}
	return 1, s.written, s.file.finish()
}

func (s *textSink) discard() {
	if s.file != nil {
		s.file.discard()
	}
}

// wholeFile is a file that gets its name when it is whole and on disk. Only its owner may read it: it holds health data.
type wholeFile struct {
	*os.File
	path string
	done bool
}

func createFile(path string) (*wholeFile, error) {
	if err := checkFree(path); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.partial")
	if err != nil {
		return nil, fmt.Errorf("create export: %w", err)
	}
	return &wholeFile{File: file, path: path}, nil
}

func checkFree(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("export: %s exists already: remove it, or choose another --output", path)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func (f *wholeFile) finish() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	if err := moveInto(f.Name(), f.path); err != nil {
		return err
	}
	f.done = true
	return nil
}

// moveInto gives an output its name, unless another has taken it in the meantime.
func moveInto(temporary, path string) error {
	if err := checkFree(path); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return syncDirectory(filepath.Dir(path))
}

func (f *wholeFile) discard() {
	if !f.done {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
}

// syncDirectory makes the names in a directory survive a crash of the machine.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	if err := errors.Join(directory.Sync(), directory.Close()); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}
