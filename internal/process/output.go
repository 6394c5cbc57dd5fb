package process

import (
	"bytes"
	"strings"
	"sync"
)

const (
	keptLines = 20
	maxLine   = 8 << 10
)

// output cuts what a child prints into lines, hands them on and remembers the last ones for an error message.
type output struct {
	emit func(line string)

	mu      sync.Mutex // guards what follows: the child's reader writes, Err reads
	partial []byte
	last    []string
}

// Write takes what the child printed.
func (o *output) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		line, after, complete := bytes.Cut(rest, []byte{'\n'})
		o.add(line, complete)
		rest = after
	}
	return len(b), nil
}

// flush ends a last line that has no newline.
func (o *output) flush() { o.add(nil, true) }

func (o *output) add(part []byte, complete bool) {
	o.mu.Lock()
	o.partial = append(o.partial, part...)
	if !complete && len(o.partial) < maxLine {
		o.mu.Unlock()
		return
	}
	line := strings.TrimRight(string(o.partial), " \t\r")
	o.partial = o.partial[:0]
	if line != "" {
		o.last = append(o.last, line)
		o.last = o.last[max(0, len(o.last)-keptLines):]
	}
	o.mu.Unlock()
	if line != "" && o.emit != nil {
		o.emit(line)
	}
}

// tail returns the last lines, each on an indented line of its own.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) == 0 {
		return ""
	}
	return "\n\t" + strings.Join(o.last, "\n\t")
}
