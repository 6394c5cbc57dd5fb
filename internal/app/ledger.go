package app

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"

	"heartbeat/internal/kafka"
)

// ledger lists every acknowledged event with its place in the topic, one JSON object a line, so that a test of the whole
// system knows what must be stored. A nil ledger keeps nothing.
type ledger struct {
	file    *os.File
	writer  *bufio.Writer
	line    []byte
	flushed time.Time
}

// ledgerDelay is how long a line may wait for the next one before both reach the file. A producer that is killed takes the lines
// since then with it: the ledger may know less than the broker, never more.
const ledgerDelay = 200 * time.Millisecond

// openLedger starts an empty ledger; without a path there is none.
func openLedger(path string) (*ledger, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	return &ledger{file: file, writer: bufio.NewWriterSize(file, 64<<10), flushed: time.Now()}, nil
}

// write adds an acknowledged event. The line is the event's own JSON with its place in front.
func (l *ledger) write(d kafka.Delivery) error {
	if l == nil {
		return nil
	}
	l.line = append(l.line[:0], `{"partition":`...)
	l.line = strconv.AppendInt(l.line, int64(d.Partition), 10)
	l.line = append(l.line, `,"offset":`...)
	l.line = strconv.AppendInt(l.line, d.Offset, 10)
	l.line = append(l.line, ',')
	l.line = append(l.line, d.Value[1:]...)
	l.line = append(l.line, '\n')
	if _, err := l.writer.Write(l.line); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	now := time.Now()
	if now.Sub(l.flushed) < ledgerDelay {
		return nil
	}
	l.flushed = now
	return l.flush()
}

func (l *ledger) flush() error {
	if err := l.writer.Flush(); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

func (l *ledger) close() error {
	if l == nil {
		return nil
	}
	flushErr := l.flush()
	if err := l.file.Close(); flushErr == nil && err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return flushErr
}
