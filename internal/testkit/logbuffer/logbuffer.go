// Package logbuffer keeps the log lines of a test.
//
// It refuses to parse them: a test searches the text. A Buffer may be used by any goroutine. It is not on the path of a reading.
package logbuffer

import (
	"bytes"
	"log/slog"
	"sync"
)

// Buffer collects log lines. Its zero value is empty.
type Buffer struct {
	mu    sync.Mutex // guards bytes
	bytes bytes.Buffer
}

func (b *Buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(line)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

// Logger returns a logger that writes into the buffer.
func (b *Buffer) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
