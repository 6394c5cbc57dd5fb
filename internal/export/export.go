// Package export writes stored readings to files and streams: CSV, NDJSON, FHIR R4 and Parquet. It keeps a page of readings in memory, and
// for Parquet a row group. A file has its name only when it is whole and on disk.
//
// It refuses to overwrite, and to write a file without a reading. It reads nothing itself: its Source does.
//
// Run works in one goroutine. What it writes has passed the database; heartbeat import brings it back to the topic.
package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"heartbeat/internal/readmodel"
)

// Pages reads the readings of one customer.
type Pages interface {
	// Days returns the days (UTC) on which any customer has a reading.
	Days(ctx context.Context, from, to time.Time) ([]time.Time, error)
	Page(ctx context.Context, page readmodel.Page) ([]readmodel.Reading, error)
}

// Source reads stored readings.
type Source interface {
	Pages
	// Day visits the readings of some customers, or for nil of all, in order of partition, customer and event time.
	Day(ctx context.Context, customers []string, from, to time.Time, visit func(*readmodel.Reading) error) error
	Known(ctx context.Context, customer string) (bool, error)
}

// Options say what to export, and where to.
type Options struct {
	Source    Source
	Customers []string // nil for all
	From, To  time.Time
	Format    string    // csv, ndjson, fhir or parquet
	Output    string    // a file, for Parquet a directory, or - for Stdout
	Stdout    io.Writer // for text
	Progress  func(Progress)
}

// Progress is how far an export is.
type Progress struct {
	Readings int64
	Share    float64 // of the days of the customers, 0 to 1
	Elapsed  time.Duration
}

// Summary is what an export wrote.
type Summary struct {
	Format    string    `json:"format"`
	Output    string    `json:"output"`
	Files     int       `json:"files"`
	Bytes     int64     `json:"bytes"`
	Readings  int64     `json:"readings"`
	Anomalies int64     `json:"anomalies"` // among the readings
	First     time.Time `json:"first"`     // event time of the first and of the last reading
	Last      time.Time `json:"last"`
	Without   []string  `json:"without_readings"` // customers who have none in that time
	Seconds   float64   `json:"seconds"`
}

// Parquet is the name of the format that is a directory of files.
const Parquet = "parquet"

// Run exports. An error leaves nothing under the name of the output.
func Run(ctx context.Context, options Options) (Summary, error) {
	e := &exporting{Options: options, began: time.Now(), summary: Summary{Format: options.Format, Output: options.Output, Without: []string{}}}
	if err := e.checkCustomers(ctx); err != nil {
		return e.summary, err
	}
	days, err := options.Source.Days(ctx, options.From, options.To)
	if err != nil {
		return e.summary, err
	}
	if e.out, err = openSink(options); err != nil {
		return e.summary, err
	}
	defer e.out.discard()
	if err := e.read(ctx, days); err != nil {
		return e.summary, err
	}
	if e.summary.Readings == 0 {
		return e.summary, fmt.Errorf("export: no reading of %s is stored in that time: choose another --from and --to", e.whose())
	}
	e.summary.Files, e.summary.Bytes, err = e.out.finish()
	e.summary.Seconds = time.Since(e.began).Seconds()
	return e.summary, err
}

type exporting struct {
	Options
	out     sink
	summary Summary
	began   time.Time
	told    time.Time // when Progress was called last
	share   float64
}

func (e *exporting) checkCustomers(ctx context.Context) error {
	var unknown []string
	for _, customer := range e.Customers {
		known, err := e.Source.Known(ctx, customer)
		if err != nil {
			return err
		}
		if !known {
			unknown = append(unknown, customer)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("export: no reading of %s was ever stored: check the id", listed(unknown))
	}
	return nil
}

func (e *exporting) whose() string {
	if e.Customers == nil {
		return "any customer"
	}
	return listed(e.Customers)
}

// listed names the first of a list.
func listed(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// read goes through customer after customer, so that each is in order of time. For all customers, and for files of a day, it goes through
// day after day.
func (e *exporting) read(ctx context.Context, days []time.Time) error {
	if e.Customers == nil || e.Format == Parquet {
		for i, day := range days {
			e.share = float64(i) / float64(len(days))
			from, to := within(day, e.From, e.To)
			if err := e.Source.Day(ctx, e.Customers, from, to, e.write); err != nil {
				return err
			}
		}
		return nil
	}
	for i, customer := range e.Customers {
		before := e.summary.Readings
		e.share = float64(i) / float64(len(e.Customers))
		err := EachPage(ctx, e.Source, customer, days, e.From, e.To, func(page []readmodel.Reading) error {
			for i := range page {
				if err := e.write(&page[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if e.summary.Readings == before {
			e.summary.Without = append(e.summary.Without, customer)
		}
	}
	return nil
}

// pageSize keeps a page below a mebibyte of text in every format but FHIR, whose lines are longer.
const pageSize = 10_000

// EachPage visits the readings of one customer, page by page in order of event time. Days are those of Pages.Days.
func EachPage(ctx context.Context, source Pages, customer string, days []time.Time, from, to time.Time, visit func([]readmodel.Reading) error) error {
	for _, day := range days {
		page := readmodel.Page{Customer: customer, Limit: pageSize}
		page.From, page.To = within(day, from, to)
		for {
			readings, err := source.Page(ctx, page)
			if err == nil && len(readings) > 0 {
				err = visit(readings)
			}
			if err != nil {
				return err
			}
			if len(readings) < pageSize {
				break
			}
			page.After = &readings[len(readings)-1]
		}
	}
	return nil
}

// within returns the part of a day between two times.
func within(day, from, to time.Time) (time.Time, time.Time) {
	next := day.AddDate(0, 0, 1)
	if from.Before(day) {
		from = day
	}
	if to.After(next) {
		to = next
	}
	return from, to
}

// progressEvery is how many readings pass between two looks at the clock.
const progressEvery = 4096

func (e *exporting) write(r *readmodel.Reading) error {
	s := &e.summary
	s.Readings++
	if r.Class != "NORMAL" {
		s.Anomalies++
	}
	if s.First.IsZero() || r.EventTime.Before(s.First) {
		s.First = r.EventTime
	}
	if r.EventTime.After(s.Last) {
		s.Last = r.EventTime
	}
	if e.Progress != nil && s.Readings%progressEvery == 0 {
		e.tell()
	}
	return e.out.write(r)
}

const progressInterval = 2 * time.Second

func (e *exporting) tell() {
	now := time.Now()
	if e.told.IsZero() {
		e.told = e.began
	}
	if now.Sub(e.told) >= progressInterval {
		e.told = now
		e.Progress(Progress{e.summary.Readings, e.share, now.Sub(e.began)})
	}
}

var errStdout = errors.New("export: Parquet is a directory of files: name one with --output")
