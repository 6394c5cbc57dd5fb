package simulator

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"

	"heartbeat/internal/kafka/producer"
)

// ackLog lists every acknowledged event with its partition and offset, one JSON object a line, so that a test of the whole
// system knows what must be stored. A nil ackLog writes nothing.
type ackLog struct {
	file    *os.File
	writer  *bufio.Writer
	line    []byte
	flushed time.Time
}

// ackLogDelay is how long a line may wait for the next one before both are written to the file. A killed producer loses the
// lines since then: the log may have fewer events than the broker, never more.
const ackLogDelay = 200 * time.Millisecond

// openAckLog starts an empty log; without a path it returns nil.
func openAckLog(path string) (*ackLog, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create ack log: %w", err)
	}
	return &ackLog{file: file, writer: bufio.NewWriterSize(file, 64<<10), flushed: time.Now()}, nil
}

// write adds an acknowledged event. The line is the event's own JSON, with partition and offset first.
func (l *ackLog) write(d producer.Delivery) error {
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
		return fmt.Errorf("write ack log: %w", err)
	}
	now := time.Now()
	if now.Sub(l.flushed) < ackLogDelay {
		return nil
	}
	l.flushed = now
	return l.flush()
}

func (l *ackLog) flush() error {
	if err := l.writer.Flush(); err != nil {
		return fmt.Errorf("write ack log: %w", err)
	}
	return nil
}

func (l *ackLog) close() error {
	if l == nil {
		return nil
	}
	flushErr := l.flush()
	if err := l.file.Close(); flushErr == nil && err != nil {
		return fmt.Errorf("close ack log: %w", err)
	}
	return flushErr
}
