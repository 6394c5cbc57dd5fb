package logging

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

// writeTimeout is how long whoever logs waits for an output that takes no text.
const writeTimeout = time.Second

// Writer writes to an output that may stop taking text, such as a terminal after Ctrl-S or a pipe that is not read. A
// write waits for it once. From then on text is dropped and counted until the output takes some again, and a line says how much was lost:
// neither readings nor an orderly shutdown may wait for a log. A Writer may be shared.
type Writer struct {
	out io.Writer

	mu      sync.Mutex // guards the rest
	format  Format     // of the line about what was lost
	pending chan error // gets the result of the write that the output has not taken yet; nil: there is none
	lost    int
}

// NewWriter returns a Writer to an output.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out, format: Text} }

// Write implements io.Writer. It reports no error for text that is dropped.
func (w *Writer) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending != nil {
		select {
		case <-w.pending:
			w.pending = nil
		default:
			w.lost++
			return len(text), nil
		}
	}
	var whole bytes.Buffer
	if w.lost > 0 {
		New(&whole, slog.LevelWarn, w.format).Warn("log lines lost: the output did not take them", "lines", w.lost)
		w.lost = 0
	}
	whole.Write(text)
	done := make(chan error, 1)
	go func() { // ends once the output has taken the text, or with the process
		_, err := w.out.Write(whole.Bytes())
		done <- err
	}()
	timeout := time.NewTimer(writeTimeout)
	defer timeout.Stop()
	select {
	case err := <-done:
		if err != nil {
			return 0, err
		}
	case <-timeout.C:
		w.pending = done
	}
	return len(text), nil
}

func (w *Writer) setFormat(format Format) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.format = format
}
