package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/live"
	"heartbeat/internal/status"
)

const (
	// pieceBytes is what must be accepted within one write deadline. The first frame of a large fleet is megabytes, so a
	// deadline for a whole frame would be either too short for it or too long for a stalled viewer.
	pieceBytes = 32 << 10
	// quietAfter is how long a stream may be without an event before a comment shows that it lives.
	quietAfter = 10 * time.Second
)

// Why a stream ends on the viewer's side. The request's context does not distinguish them: a failed write ends it too.
var (
	errLeft    = errors.New("viewer left")
	errStalled = errors.New("viewer does not read")
)

// Fleet is the newest value of every customer.
type Fleet interface {
	Next(ctx context.Context, cursor live.Cursor) (live.Update, error)
}

// Alarms is the list of open alarms.
type Alarms interface {
	// Since returns the events after a number, which is 0 for a viewer that knows nothing, and the number of the latest.
	Since(number uint64) (events [][]byte, latest uint64)
}

// Options are what a Stream is made of. All but Alarms and the durations are required.
type Options struct {
	Fleet    Fleet
	Status   func() *status.Snapshot
	Alarms   Alarms // nil: no alarms are sent
	Logger   *slog.Logger
	Registry prometheus.Registerer
	Hello    Hello

	MaxViewers    int           // streams at a time
	WriteDeadline time.Duration // a viewer that takes longer to accept a piece of a frame is dropped
	Lifetime      time.Duration // after which a stream ends and the viewer reconnects
}

// Hello is the first event of a stream.
type Hello struct {
	Boot    string `json:"boot"` // distinguishes cursors of this process from those of another; set by New
	Pool    int    `json:"pool"`
	Version string `json:"version"`
	Replay  bool   `json:"replay"`
}

// Stream serves the live view to any number of viewers.
type Stream struct {
	options Options
	encoder encoder
	viewers chan struct{} // one element for each open stream
	metrics *metrics
}

// New returns a Stream.
func New(options Options) *Stream {
	options.Hello.Boot = rand.Text()[:10]
	return &Stream{options: options, viewers: make(chan struct{}, options.MaxViewers), metrics: newMetrics(options.Registry)}
}

// viewer is one open stream. It belongs to the goroutine of its request.
type viewer struct {
	stream  *Stream
	out     io.Writer
	control *http.ResponseController
	cursor  live.Cursor
	status  *status.Snapshot // the one last sent
	alarms  uint64           // number of the event of alarms last sent
	buffer  []byte
}

// Serve sends frames until the viewer leaves, is too slow, or has been here for the stream's lifetime.
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request) error {
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		return httpserver.NewProblem(httpserver.TooManyViewers, "%d viewers are connected already: try again later", cap(s.viewers)).
			RetryAfter(10 * time.Second)
	}
	s.metrics.viewers.Inc()
	defer s.metrics.viewers.Dec()

	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // a proxy that collects frames would delay them
	v := &viewer{stream: s, out: w, control: http.NewResponseController(w), cursor: s.resume(r.Header.Get("Last-Event-ID"))}
	ctx, cancel := context.WithTimeout(r.Context(), s.options.Lifetime)
	defer cancel()
	err := v.run(ctx)
	switch err {
	case errStalled:
		s.metrics.dropped.Inc()
		s.options.Logger.Debug("viewer dropped", "remote", r.RemoteAddr, "cause", err)
		return nil
	case errLeft:
		return nil
	default:
		return err
	}
}

func (v *viewer) run(ctx context.Context) error {
	if err := v.hello(); err != nil {
		return err
	}
	shorten := sync.OnceFunc(func() { httpserver.ShortenWriteBuffer(ctx) })
	for {
		update, err := v.next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			err = v.write([]byte(": still here\n\n"))
		case err == nil:
			err = v.show(update)
			shorten() // the first frame is the one large one
		}
		if err != nil {
			return err
		}
	}
}

// next waits for an update, but not longer than a stream may be quiet.
func (v *viewer) next(ctx context.Context) (live.Update, error) {
	ctx, cancel := context.WithTimeout(ctx, quietAfter)
	defer cancel()
	return v.stream.options.Fleet.Next(ctx, v.cursor)
}

func (v *viewer) hello() error {
	data, err := json.Marshal(v.stream.options.Hello)
	if err != nil {
		return fmt.Errorf("encode greeting: %w", err)
	}
	if err := v.event("hello", data); err != nil {
		return err
	}
	return v.flush()
}

// show sends a frame, the alerts and the changes of alarms since the last one, and the status snapshot if there is a new one.
func (v *viewer) show(update live.Update) error {
	data, err := v.stream.encoder.encode(update.Frame)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(update.Alerts) > 0 || update.Missed > 0 {
		if err := v.event("alerts", encodeAlerts(update)); err != nil {
			return err
		}
	}
	if err := v.showAlarms(); err != nil {
		return err
	}
	if snapshot := v.stream.options.Status(); snapshot != v.status {
		if err := v.event("status", snapshot.JSON()); err != nil {
			return err
		}
		v.status = snapshot
	}
	v.cursor = update.Cursor
	v.buffer = append(v.buffer, "id: "...)
	v.buffer = append(v.buffer, v.stream.eventID(update.Cursor)...)
	v.buffer = append(v.buffer, '\n')
	if err := v.event("frame", data); err != nil {
		return err
	}
	return v.flush()
}

func (v *viewer) showAlarms() error {
	if v.stream.options.Alarms == nil {
		return nil
	}
	events, latest := v.stream.options.Alarms.Since(v.alarms)
	for _, event := range events {
		if err := v.event("alarms", event); err != nil {
			return err
		}
	}
	v.alarms = latest
	return nil
}

// event collects an event. Data larger than a piece is sent from where it is, which all viewers share: a copy for each
// of many who join a large fleet at once would be what fills the memory.
func (v *viewer) event(name string, data []byte) error {
	v.buffer = append(v.buffer, "event: "...)
	v.buffer = append(v.buffer, name...)
	v.buffer = append(v.buffer, "\ndata: "...)
	if len(data) <= pieceBytes {
		v.buffer = append(v.buffer, data...)
	} else {
		if err := v.flush(); err != nil {
			return err
		}
		if err := v.write(data); err != nil {
			return err
		}
	}
	v.buffer = append(v.buffer, "\n\n"...)
	return nil
}

// flush sends what was collected.
func (v *viewer) flush() error {
	err := v.write(v.buffer)
	v.buffer = v.buffer[:0]
	return err
}

func (v *viewer) write(text []byte) error {
	for len(text) > 0 {
		piece := text[:min(len(text), pieceBytes)]
		text = text[len(piece):]
		deadline := time.Now().Add(v.stream.options.WriteDeadline)
		if err := v.control.SetWriteDeadline(deadline); err != nil {
			return fmt.Errorf("set deadline of a stream: %w", err)
		}
		n, err := v.out.Write(piece)
		v.stream.metrics.sent.Add(float64(n))
		if err == nil {
			err = v.control.Flush()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errStalled
		case err != nil:
			return errLeft
		}
	}
	return nil
}

// eventID names a position in the stream of this process.
func (s *Stream) eventID(cursor live.Cursor) string {
	return s.options.Hello.Boot + "." + strconv.FormatUint(cursor.Frame, 10) + "." + strconv.FormatUint(cursor.Alert, 10)
}

// resume returns the cursor of a Last-Event-ID. One of another process, or none, begins at the beginning.
func (s *Stream) resume(id string) live.Cursor {
	parts := strings.Split(id, ".")
	if len(parts) != 3 || parts[0] != s.options.Hello.Boot {
		return live.Cursor{}
	}
	frame, frameErr := strconv.ParseUint(parts[1], 10, 64)
	alert, alertErr := strconv.ParseUint(parts[2], 10, 64)
	if frameErr != nil || alertErr != nil {
		return live.Cursor{}
	}
	return live.Cursor{Frame: frame, Alert: alert}
}
