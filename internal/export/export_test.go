package export_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/export"
	"heartbeat/internal/readmodel"
)

// stored is a source of readings in order of customer and event time.
type stored struct {
	readings []readmodel.Reading
	fault    error // of reading the second day
	pages    *int
}

func (s stored) Known(_ context.Context, customer string) (bool, error) {
	return slices.ContainsFunc(s.readings, func(r readmodel.Reading) bool { return r.Customer == customer }), nil
}

func (s stored) Days(_ context.Context, from, to time.Time) (days []time.Time, err error) {
	for _, r := range s.between(nil, from, to) {
		days = append(days, r.EventTime.Truncate(24*time.Hour))
	}
	slices.SortFunc(days, time.Time.Compare)
	return slices.Compact(days), nil
}

func (s stored) between(customers []string, from, to time.Time) (found []readmodel.Reading) {
	for _, r := range s.readings {
		if !r.EventTime.Before(from) && r.EventTime.Before(to) && (customers == nil || slices.Contains(customers, r.Customer)) {
			found = append(found, r)
		}
	}
	return found
}

func (s stored) Page(_ context.Context, page readmodel.Page) ([]readmodel.Reading, error) {
	if s.pages != nil {
		*s.pages++
	}
	found := s.between([]string{page.Customer}, page.From, page.To)
	if page.After != nil {
		found = slices.DeleteFunc(found, func(r readmodel.Reading) bool { return !r.EventTime.After(page.After.EventTime) })
	}
	return found[:min(len(found), page.Limit)], s.faultOn(page.From)
}

func (s stored) faultOn(from time.Time) error {
	if from.Before(noon.AddDate(0, 0, 1).Truncate(24 * time.Hour)) {
		return nil
	}
	return s.fault
}

func (s stored) Day(_ context.Context, customers []string, from, to time.Time, visit func(*readmodel.Reading) error) error {
	for _, r := range s.between(customers, from, to) {
		if err := visit(&r); err != nil {
			return err
		}
	}
	return s.faultOn(from)
}

// newStored returns three readings each of two customers, a day apart.
func newStored() stored {
	var s stored
	for _, customer := range []string{"CUST_00001", "CUST_00002"} {
		for day := range int64(3) {
			s.readings = append(s.readings, readmodel.Reading{
				Customer: customer, BPM: 75, EventTime: noon.AddDate(0, 0, int(day)), Class: "NORMAL", Topic: "heartbeat-events", Partition: 1, Offset: day,
			})
		}
	}
	return s
}

func optionsOf(source export.Source, output string) export.Options {
	return export.Options{
		Source: source, Customers: []string{"CUST_00001", "CUST_00002"}, From: noon, To: noon.AddDate(1, 0, 0), Format: "csv", Output: output,
	}
}

func names(t *testing.T, directory string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(directory, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReadingsGoByCustomerAndTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	options := optionsOf(newStored(), "-")
	options.Stdout, options.To = &out, noon.AddDate(0, 0, 2) // not the last day
	summary, err := export.Run(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	want := "customer_id,heart_rate,timestamp,class,kafka_topic,kafka_partition,kafka_offset\n" +
		"CUST_00001,75,2026-02-20T12:00:00.123456Z,NORMAL,heartbeat-events,1,0\n" +
		"CUST_00001,75,2026-02-21T12:00:00.123456Z,NORMAL,heartbeat-events,1,1\n" +
		"CUST_00002,75,2026-02-20T12:00:00.123456Z,NORMAL,heartbeat-events,1,0\n" +
		"CUST_00002,75,2026-02-21T12:00:00.123456Z,NORMAL,heartbeat-events,1,1\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("export (-want +got):\n%s", diff)
	}
	summary.Seconds = 0
	wantSummary := export.Summary{Format: "csv", Output: "-", Bytes: int64(len(want)), Readings: 4, First: noon, Last: noon.AddDate(0, 0, 1), Without: []string{}}
	if diff := cmp.Diff(wantSummary, summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestPagesOfADayFollowOneAnother(t *testing.T) {
	t.Parallel()
	const readings = 25_000
	pages := 0
	source := stored{pages: &pages}
	for i := range int64(readings) {
		r := reading(i, 75, "NORMAL")
		r.EventTime = noon.Add(time.Duration(i) * time.Millisecond)
		source.readings = append(source.readings, r)
	}
	path := filepath.Join(t.TempDir(), "one.ndjson")
	options := optionsOf(source, path)
	options.Customers, options.Format = []string{"CUST_00042"}, "ndjson"
	summary, err := export.Run(t.Context(), options)
	if err != nil || summary.Readings != readings || summary.Files != 1 || pages != 3 {
		t.Fatalf("exported %+v in %d pages, %v; want %d readings in one file, from 3 pages", summary, pages, err, readings)
	}
	text, err := os.ReadFile(path)
	if err != nil || int64(len(text)) != summary.Bytes || bytes.Count(text, []byte("\n")) != readings {
		t.Errorf("the file has %d bytes and %d lines, %v; the summary says %d bytes", len(text), bytes.Count(text, []byte("\n")), err, summary.Bytes)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if want := format(t, "ndjson").Append(nil, &source.readings[i]); line+"\n" != string(want) {
			t.Fatalf("line %d is %s, want %s", i, line, want)
		}
	}
}

func TestFilesAreOnlyForTheirOwner(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"csv", "parquet"} {
		path := filepath.Join(t.TempDir(), "export")
		options := optionsOf(newStored(), path)
		options.Format = format
		if _, err := export.Run(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v; want nothing for others", format, info.Mode(), err)
		}
	}
}

func TestParquetHasAFileForEachDayAndPartition(t *testing.T) {
	t.Parallel()
	source := newStored()
	other := source.readings[0]
	other.Customer, other.Partition = "CUST_00003", 2
	source.readings = append(source.readings, other)
	slices.SortStableFunc(source.readings, func(a, b readmodel.Reading) int { return int(a.Partition - b.Partition) })
	path := filepath.Join(t.TempDir(), "readings")
	options := optionsOf(source, path)
	options.Format, options.Customers = export.Parquet, nil
	summary, err := export.Run(t.Context(), options)
	want := []string{"date=2026-02-20/partition-1.parquet", "date=2026-02-20/partition-2.parquet", "date=2026-02-21/partition-1.parquet", "date=2026-02-22/partition-1.parquet"}
	if err != nil || summary.Files != 4 || summary.Readings != 7 {
		t.Fatalf("exported %+v, %v; want 7 readings in 4 files", summary, err)
	}
	if got := names(t, path); !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
}

func TestNoErrorLeavesAnythingBehind(t *testing.T) {
	t.Parallel()
	broken := newStored()
	broken.fault = errors.New("connection lost")
	for name, test := range map[string]struct {
		change func(*export.Options)
		want   string
	}{
		"unknown customers":    {func(o *export.Options) { o.Customers = []string{"CUST_00001", "CUST_00077", "CUST_00078"} }, "no reading of CUST_00077, CUST_00078 was ever stored"},
		"nothing in that time": {func(o *export.Options) { o.From = noon.AddDate(0, 6, 0) }, "no reading of CUST_00001, CUST_00002 is stored in that time"},
		"none of anybody":      {func(o *export.Options) { o.From, o.Customers = noon.AddDate(0, 6, 0), nil }, "no reading of any customer is stored in that time"},
		"fault on the way":     {func(o *export.Options) { o.Source = broken }, "connection lost"},
		"unknown format":       {func(o *export.Options) { o.Format = "xml" }, `format "xml": want csv, ndjson, fhir or parquet`},
		"missing directory":    {func(o *export.Options) { o.Output = filepath.Join(o.Output, "missing", "file") }, "no such file or directory"},
	} {
		for _, format := range []string{"csv", "parquet"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				directory := t.TempDir()
				options := optionsOf(newStored(), filepath.Join(directory, "export"))
				options.Format = format
				test.change(&options)
				_, err := export.Run(t.Context(), options)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				if left := names(t, directory); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

func TestWhatExistsIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"csv", "parquet"} {
		path := filepath.Join(t.TempDir(), "export")
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		options := optionsOf(newStored(), path)
		options.Format = format
		if _, err := export.Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "exists already: remove it, or choose another --output") {
			t.Errorf("%s over a file: %v", format, err)
		}
		if text, _ := os.ReadFile(path); string(text) != "precious" {
			t.Errorf("%s changed the file to %q", format, text)
		}
	}
}

func TestFileThatAppearsMeanwhileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "export")
	source := &appearing{stored: newStored(), path: path}
	if _, err := export.Run(t.Context(), optionsOf(source, path)); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("got %v, want that the file exists", err)
	}
	if left := names(t, directory); !slices.Equal(left, []string{"export"}) {
		t.Errorf("left behind: %v", left)
	}
}

// appearing creates the output while it is being written.
type appearing struct {
	stored
	path string
}

func (a *appearing) Page(ctx context.Context, page readmodel.Page) ([]readmodel.Reading, error) {
	if err := os.WriteFile(a.path, nil, 0o600); err != nil {
		return nil, err
	}
	return a.stored.Page(ctx, page)
}

func TestCustomersWithoutReadingsInThatTimeAreNamed(t *testing.T) {
	t.Parallel()
	source := newStored()
	source.readings[3].EventTime = noon.AddDate(-1, 0, 0)
	source.readings = source.readings[:4]
	options := optionsOf(source, "-")
	options.Stdout = &bytes.Buffer{}
	summary, err := export.Run(t.Context(), options)
	if err != nil || summary.Readings != 3 || !slices.Equal(summary.Without, []string{"CUST_00002"}) {
		t.Errorf("got %+v, %v; want three readings, and CUST_00002 named as without", summary, err)
	}
}

func TestFullDiskIsAnError(t *testing.T) {
	t.Parallel()
	options := optionsOf(newStored(), "-")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	options.Stdout = full
	if _, err := export.Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a full device: %v", err)
	}
}

// endless makes readings up as they are asked for.
type endless struct {
	count int64
	watch func()
}

func (e endless) Known(context.Context, string) (bool, error) { return true, nil }

func (e endless) Days(context.Context, time.Time, time.Time) ([]time.Time, error) {
	return []time.Time{noon.Truncate(24 * time.Hour)}, nil
}

func (e endless) at(i int64) readmodel.Reading {
	r := reading(i, 75, "NORMAL")
	r.EventTime = noon.Add(time.Duration(i) * time.Millisecond)
	return r
}

func (e endless) Day(_ context.Context, _ []string, _, _ time.Time, visit func(*readmodel.Reading) error) error {
	for i := range e.count {
		if i%50_000 == 0 {
			e.watch()
		}
		r := e.at(i)
		if err := visit(&r); err != nil {
			return err
		}
	}
	return nil
}

func (e endless) Page(_ context.Context, page readmodel.Page) ([]readmodel.Reading, error) {
	e.watch()
	next := int64(0)
	if page.After != nil {
		next = page.After.Offset + 1
	}
	readings := make([]readmodel.Reading, 0, page.Limit)
	for ; next < e.count && len(readings) < page.Limit; next++ {
		readings = append(readings, e.at(next))
	}
	return readings, nil
}

// Not parallel: it measures the heap of the process.
func TestMemoryStaysConstant(t *testing.T) {
	const most = 24 << 20
	for _, format := range []string{"fhir", "parquet"} {
		for _, customers := range [][]string{nil, {"CUST_00042"}} {
			var peak uint64
			var usage runtime.MemStats
			watch := func() {
				runtime.GC()
				runtime.ReadMemStats(&usage)
				peak = max(peak, usage.HeapAlloc)
			}
			watch()
			before := peak
			options := optionsOf(endless{count: 400_000, watch: watch}, filepath.Join(t.TempDir(), "export"))
			options.Format, options.Customers = format, customers
			summary, err := export.Run(t.Context(), options)
			if err != nil || summary.Readings != 400_000 {
				t.Fatalf("exported %+v, %v", summary, err)
			}
			if grown := peak - before; grown > most {
				t.Errorf("%s of %v: the heap grew by %d MiB for %d MiB of output, want %d MiB at most", format, customers, grown>>20, summary.Bytes>>20, most>>20)
			}
		}
	}
}
