package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"heartbeat/internal/export"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
)

// Exports are bounded in number, so that they leave the database to the consumers: each reads a page at a time.
const (
	maxExports     = 2
	exportRetry    = 10 * time.Second
	exportPiece    = 64 << 10 // what a client must take within Options.WriteDeadline
	exportLifetime = time.Hour
)

// export streams the readings of one customer as a file. It has as long as the client takes them.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	id, err := customerIn(r)
	if err != nil {
		return err
	}
	q := newQuery(r)
	format := export.Texts()[0]
	name := q.OneOf("format", "csv", "ndjson", "fhir")
	for _, text := range export.Texts() {
		if text.Name == name {
			format = text
		}
	}
	from, to := q.span(time.Hour, longestTrace)
	if q.Err != nil {
		return q.Err
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return httpserver.NewProblem(httpserver.TooManyRequests, "%d exports are under way already: try again, or use heartbeat export", maxExports).RetryAfter(exportRetry)
	}
	ctx, cancel := context.WithTimeout(r.Context(), exportLifetime)
	defer cancel()
	days, err := s.days(ctx, from, to)
	if err != nil {
		return err
	}
	d := &exportDownload{server: s, w: w, control: http.NewResponseController(w), format: format}
	d.name = fmt.Sprintf("%s_%s.%s", id, from.Format("20060102T150405Z"), format.Extension)
	err = export.EachPage(ctx, timedPages{s.options.Readings}, id.String(), days, from, to, d.write)
	switch {
	case err == nil && !d.begun:
		return httpserver.NewProblem(httpserver.NotFound, "no reading of %s is stored from %s to %s", id, from.Format(time.RFC3339), to.Format(time.RFC3339))
	case err == nil || !d.begun:
		return err
	case ctx.Err() == nil && !errors.Is(err, errNotTaken):
		s.log.Warn("export broken off", "path", r.URL.Path, "cause", err)
	}
	panic(http.ErrAbortHandler) // the only way to tell a client that a file is not whole
}

func (s *Server) days(ctx context.Context, from, to time.Time) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.options.Readings.Days(ctx, from, to)
}

// timedPages bounds the time of each page rather than that of an export.
type timedPages struct{ export.Pages }

func (t timedPages) Page(ctx context.Context, page readmodel.Page) ([]readmodel.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return t.Pages.Page(ctx, page)
}

type exportDownload struct {
	server  *Server
	w       http.ResponseWriter
	control *http.ResponseController
	format  export.Text
	name    string
	begun   bool // the headers are sent: an error can no longer become a problem
	text    []byte
}

var errNotTaken = errors.New("the client does not take the export")

func (d *exportDownload) write(page []readmodel.Reading) error {
	d.text = d.text[:0]
	if !d.begun {
		d.begun = true
		header := d.w.Header()
		header.Set("Content-Type", d.format.MediaType)
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
		d.text = append(d.text, d.format.Header...)
	}
	for i := range page {
		d.text = d.format.Append(d.text, &page[i])
		if len(d.text) >= exportPiece || i == len(page)-1 {
			_ = d.control.SetWriteDeadline(time.Now().Add(d.server.options.WriteDeadline)) // a recorder in a test has none
			if _, err := d.w.Write(d.text); err != nil {
				return errNotTaken
			}
			d.text = d.text[:0]
		}
	}
	return nil
}
