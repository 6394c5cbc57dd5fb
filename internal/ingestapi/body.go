package ingestapi

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"heartbeat/internal/httpserver"
)

const (
	maxWire     = 1 << 20 // bytes of a body as sent
	maxUnpacked = 8 << 20 // of a body without its compression
	maxReadings = 10_000  // in a request
	maxReading  = 64 << 10

	maxMemory = 64 << 20 // bytes of the bodies of all requests under way
	// share is the part of maxMemory that one device may have: one that sends slowly holds up no other.
	share = 4

	// bodyTimeout bounds how long a client may take to send a body: 1 MiB needs 1 Mbit/s.
	bodyTimeout = 10 * time.Second
	retryAfter  = time.Second
)

// budget bounds the bytes of request bodies in memory.
type budget struct {
	most int64

	mu   sync.Mutex // guards both below
	used int64
	by   map[string]int64 // by device
}

func newBudget(most int64) *budget { return &budget{most: most, by: map[string]int64{}} }

// take reserves bytes for a device, or says why not.
func (b *budget) take(device string, bytes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+bytes > b.most || b.by[device]+bytes > b.most/share && b.by[device] > 0 {
		return httpserver.NewProblem(httpserver.TooBusy, "readings arrive faster than they can be written: send the same request again").RetryAfter(retryAfter)
	}
	b.used += bytes
	b.by[device] += bytes
	return nil
}

func (b *budget) give(device string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	if b.by[device] -= bytes; b.by[device] <= 0 {
		delete(b.by, device)
	}
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// body is a request's body, unpacked. Its memory is the budget's until release.
type body struct {
	text   []byte
	budget *budget
	device string
	held   int64
}

func (b *body) release() { b.budget.give(b.device, b.held) }

// grow makes room for more text.
func (b *body) grow() error {
	size := max(2*cap(b.text), 4<<10)
	size = min(size, maxUnpacked+1)
	if err := b.budget.take(b.device, int64(size-cap(b.text))); err != nil {
		return err
	}
	b.held += int64(size - cap(b.text))
	text := make([]byte, len(b.text), size)
	copy(text, b.text)
	b.text = text
	return nil
}

// readBody reads a request's body within the limits, which count while it is unpacked. The body must be released also after an error.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, device string) (*body, error) {
	b := &body{budget: s.budget, device: device}
	if r.ContentLength > maxWire {
		return b, tooLarge(w, "the body has %d bytes, want at most %d: send it in several requests", r.ContentLength, maxWire)
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.options.bodyTimeout)) // a recorder in a test has none
	wire := http.MaxBytesReader(w, r.Body, maxWire)
	err := b.fill(r.Header.Get("Content-Encoding"), wire)
	_ = control.SetReadDeadline(time.Time{})
	return b, bodyError(w, err)
}

// bodyError says what the end of a body means to its client. After it the connection is of no further use: the rest may still come.
func bodyError(w http.ResponseWriter, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*httpserver.Problem](err); ok {
		w.Header().Set("Connection", "close")
		return err
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(w, "the body has over %d bytes: send it in several requests", maxWire)
	}
	w.Header().Set("Connection", "close")
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return httpserver.NewProblem(httpserver.BodyTimeout, "the body did not arrive within %s: send the same request again", bodyTimeout)
	case errors.Is(err, errUnpacked):
		return httpserver.NewProblem(httpserver.TooLarge, "the body has over %d bytes when unpacked: send it in several requests", maxUnpacked)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, errPacked):
		return httpserver.NewProblem(httpserver.BadRequest, "the body is not what Content-Encoding: gzip says: it ends early or is damaged")
	default:
		return httpserver.NewProblem(httpserver.BadRequest, "the body cannot be read: it ends early or its framing is wrong")
	}
}

func tooLarge(w http.ResponseWriter, format string, args ...any) error {
	w.Header().Set("Connection", "close")
	return httpserver.NewProblem(httpserver.TooLarge, format, args...)
}

var (
	errUnpacked = errors.New("too large when unpacked")
	errPacked   = errors.New("damaged gzip")
)

func (b *body) fill(encoding string, wire io.Reader) error {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return b.read(wire)
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(wire)
		if err != nil {
			return packedError(err)
		}
		return packedError(b.read(unpacked))
	default:
		return httpserver.NewProblem(httpserver.UnsupportedMedia, "Content-Encoding %q is not understood: use gzip or none", encoding)
	}
}

// packedError tells a fault of the compression from one of the connection.
func packedError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF || err != nil && strings.HasPrefix(err.Error(), "flate: ") {
		return errPacked
	}
	return err
}

func (b *body) read(source io.Reader) error {
	for {
		if len(b.text) == cap(b.text) {
			if len(b.text) > maxUnpacked {
				return errUnpacked
			}
			if err := b.grow(); err != nil {
				return err
			}
		}
		n, err := source.Read(b.text[len(b.text):cap(b.text)])
		b.text = b.text[:len(b.text)+n]
		switch {
		case len(b.text) > maxUnpacked:
			return errUnpacked
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
