package export

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"heartbeat/internal/parquetfile"
	"heartbeat/internal/readmodel"
)

// parquetSink is a directory with one file for each day and Kafka partition: DIR/date=2026-02-20/partition-2.parquet. Readings come in
// that order. The directory gets its name when all files are whole and on disk.
type parquetSink struct {
	directory string
	path      string
	day       time.Time
	partition int32
	open      *parquetPart // nil before the first reading
	files     int
	bytes     int64
	done      bool
}

type parquetPart struct {
	file   *os.File
	out    *bufio.Writer
	writer *parquetfile.Writer
}

func newParquetSink(path string) (*parquetSink, error) {
	if err := checkFree(path); err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp(filepath.Dir(filepath.Clean(path)), "."+filepath.Base(path)+".*.partial")
	if err != nil {
		return nil, fmt.Errorf("create export: %w", err)
	}
	return &parquetSink{directory: directory, path: filepath.Clean(path)}, nil
}

func (s *parquetSink) write(r *readmodel.Reading) error {
	if s.open == nil || r.Partition != s.partition || r.EventTime.Before(s.day) || !r.EventTime.Before(s.day.AddDate(0, 0, 1)) {
		if err := s.next(r); err != nil {
			return err
		}
	}
	return s.open.writer.Write(r)
}

// next begins the file of a reading's day and partition.
func (s *parquetSink) next(r *readmodel.Reading) error {
	if err := s.end(); err != nil {
		return err
	}
	s.day, s.partition = r.EventTime.Truncate(24*time.Hour), r.Partition
	day := filepath.Join(s.directory, "date="+s.day.Format(time.DateOnly))
	if err := os.Mkdir(day, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create export: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(day, fmt.Sprintf("partition-%d.parquet", r.Partition)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create export: %w", err)
	}
	out := bufio.NewWriterSize(file, 256<<10)
	s.open = &parquetPart{file, out, parquetfile.NewWriter(out)}
	return nil
}

// end finishes the file under way.
func (s *parquetSink) end() error {
	part := s.open
	if part == nil {
		return nil
	}
	s.open = nil
	err := errors.Join(part.writer.Close(), part.out.Flush(), part.file.Sync())
	info, statErr := part.file.Stat()
	if err := errors.Join(err, statErr, part.file.Close(), syncDirectory(filepath.Dir(part.file.Name()))); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	s.files++
	s.bytes += info.Size()
	return nil
}

func (s *parquetSink) finish() (int, int64, error) {
	if err := errors.Join(s.end(), syncDirectory(s.directory)); err != nil {
		return 0, 0, err
	}
	if err := moveInto(s.directory, s.path); err != nil {
		return 0, 0, err
	}
	s.done = true
	return s.files, s.bytes, nil
}

func (s *parquetSink) discard() {
	if s.open != nil {
		_ = s.open.file.Close()
	}
	if !s.done {
		_ = os.RemoveAll(s.directory)
	}
}
