package format

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"heartbeat/internal/heartbeat"
)

// Columns names the columns of a CSV file. Empty names mean the fields of an event: customer_id, heart_rate, timestamp, device_id.
type Columns struct{ Customer, HeartRate, Timestamp, Device string }

func (c Columns) orDefault() Columns {
	for name, given := range map[string]*string{
		"customer_id": &c.Customer, "heart_rate": &c.HeartRate, "timestamp": &c.Timestamp, "device_id": &c.Device,
	} {
		if *given == "" {
			*given = name
		}
	}
	return c
}

// TimeFormat says how a CSV file writes times.
type TimeFormat string

// The formats of times.
const (
	RFC3339    TimeFormat = "rfc3339" // the offset may be missing where the options have a zone
	UnixSecond TimeFormat = "unix"
	UnixMilli  TimeFormat = "unix-ms"
)

// maxRowBytes bounds a row: a quote that is not closed would take the rest of the file.
const maxRowBytes = 1 << 20

// CSV reads rows under a header line that names their columns. Positions count lines below the header.
func CSV(r io.Reader, options Options) Items {
	return func(yield func(Item, error) bool) {
		rows := &csvReader{options: options, columns: options.Columns.orDefault(), clock: localClock{zone: options.Zone}}
		if err := rows.open(r); err != nil {
			yield(Item{}, err)
			return
		}
		for position := int64(0); ; position++ {
			sample, rejection, err := rows.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(Item{Position: position}, err)
				}
				return
			}
			if !yield(Item{Position: position, Sample: sample, Rejection: rejection}, nil) {
				return
			}
		}
	}
}

type csvReader struct {
	options Options
	columns Columns
	clock   localClock
	rows    *csv.Reader
	input   *boundedReader

	customer, rate, timestamp, device int // indexes of columns, -1 for none
}

// separators are tried in this order where none is given.
const separators = ",;\t|"

// open reads the header line.
func (c *csvReader) open(r io.Reader) error {
	buffered := withoutBOM(r)
	c.input = &boundedReader{reader: buffered, most: maxRowBytes}
	c.rows = csv.NewReader(c.input)
	c.rows.FieldsPerRecord, c.rows.ReuseRecord = -1, true
	c.rows.Comma = c.options.Separator
	if c.rows.Comma == 0 {
		start, _ := buffered.Peek(4 << 10)
		c.rows.Comma = c.guessSeparator(string(start))
	}
	header, err := c.rows.Read()
	if err != nil {
		return fmt.Errorf("read the header line: %w", cut(err))
	}
	c.customer, c.rate = column(header, c.columns.Customer), column(header, c.columns.HeartRate)
	c.timestamp, c.device = column(header, c.columns.Timestamp), column(header, c.columns.Device)
	for name, index := range map[string]int{c.columns.HeartRate: c.rate, c.columns.Timestamp: c.timestamp} {
		if index < 0 {
			return fmt.Errorf("the header line %s has no column %q; name the columns, such as --columns heart_rate=bpm,timestamp=time",
				quote(strings.Join(header, string(c.rows.Comma))), name)
		}
	}
	return nil
}

func (c *csvReader) guessSeparator(start string) rune {
	line, _, _ := strings.Cut(start, "\n")
	for _, separator := range separators {
		fields := strings.Split(strings.ReplaceAll(strings.TrimRight(line, "\r"), `"`, ""), string(separator))
		if column(fields, c.columns.HeartRate) >= 0 && column(fields, c.columns.Timestamp) >= 0 {
			return separator
		}
	}
	return ','
}

func column(header []string, name string) int {
	for i, field := range header {
		if strings.EqualFold(strings.TrimSpace(field), name) {
			return i
		}
	}
	return -1
}

// next reads a row.
func (c *csvReader) next() (Sample, *heartbeat.Rejection, error) {
	c.input.returned = c.rows.InputOffset()
	fields, err := c.rows.Read()
	if malformed, ok := errors.AsType[*csv.ParseError](err); ok {
		return Sample{}, reject(heartbeat.WrongType, "line %d is not CSV: %v", malformed.Line, malformed.Err), nil
	}
	if err != nil {
		return Sample{}, nil, err
	}
	sample := Sample{Subject: shorten(field(fields, c.customer)), Device: shorten(field(fields, c.device))}
	var rejection *heartbeat.Rejection
	rate := field(fields, c.rate)
	if c.options.DecimalComma {
		rate = strings.Replace(rate, ",", ".", 1)
	}
	if sample.Rate, rejection = readDecimal(c.columns.HeartRate, rate); rejection == nil {
		sample.Time, rejection = c.time(field(fields, c.timestamp))
	}
	return sample, rejection, nil
}

// field is a copy: the row's memory is used again.
func field(fields []string, index int) string {
	if index < 0 || index >= len(fields) {
		return ""
	}
	return strings.Clone(strings.TrimSpace(fields[index]))
}

func (c *csvReader) time(text string) (time.Time, *heartbeat.Rejection) {
	name := c.columns.Timestamp
	switch {
	case text == "":
		return time.Time{}, reject(heartbeat.MissingField, "%s is missing", name)
	case c.options.TimeFormat == UnixSecond:
		return readUnix(name, text, 6)
	case c.options.TimeFormat == UnixMilli:
		return readUnix(name, text, 3)
	}
	at, rejection := readTime(name, text)
	if rejection == nil {
		return at, nil
	}
	if _, ok := heartbeat.ParseTimestamp(text + "Z"); !ok {
		return at, rejection
	}
	if c.options.Zone == nil {
		return at, reject(heartbeat.BadTimestamp, "%s is %s, without an offset; give the zone, such as --zone Europe/Berlin", name, quote(text))
	}
	return c.clock.read(text)
}

// readUnix reads a count of seconds or milliseconds, to the microsecond: digits is how many decimals a microsecond has.
func readUnix(name, text string, digits int) (time.Time, *heartbeat.Rejection) {
	whole, fraction, _ := strings.Cut(text, ".")
	fraction = (fraction + "000000")[:digits]
	micro, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return time.Time{}, reject(heartbeat.BadTimestamp, "%s is %s, want a count since 1970", name, quote(text))
	}
	return time.UnixMicro(micro).UTC(), nil
}
