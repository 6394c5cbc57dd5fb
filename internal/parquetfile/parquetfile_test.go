package parquetfile_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"heartbeat/internal/parquetfile"
	"heartbeat/internal/readmodel"
)

// aDay returns what one partition has of so many customers in a day, each of whom reports so often, in order of customer and event time.
// Their records interleave, so offsets grow by the number of customers, more or less.
func aDay(customers, each int) []readmodel.Reading {
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)
	interval := 24 * time.Hour / time.Duration(each)
	readings := make([]readmodel.Reading, 0, customers*each)
	for c := range customers {
		rate := 75.0
		for i := range each {
			rate += random.NormFloat64()*3 + (75-rate)/20
			reading := readmodel.Reading{
				Customer: fmt.Sprintf("CUST_%05d", 3*c+1), BPM: int32(min(max(rate, 40), 180)), Class: "NORMAL",
				EventTime: begin.Add(time.Duration(i)*interval + time.Duration(random.Int64N(int64(interval)))).Truncate(time.Microsecond),
				Topic:     "heartbeat-events", Partition: 1, Offset: 1_000_000 + int64(i*customers+random.IntN(customers)),
			}
			if random.IntN(100) == 0 {
				reading.BPM, reading.Class = 200, "TACHYCARDIA"
			}
			readings = append(readings, reading)
		}
	}
	return readings
}

func write(t testing.TB, w io.Writer, readings []readmodel.Reading) {
	t.Helper()
	writer := parquetfile.NewWriter(w)
	for i := range readings {
		if err := writer.Write(&readings[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
}

// row has the columns as a reader finds them.
type row struct {
	Customer  string    `parquet:"customer_id"`
	BPM       int32     `parquet:"heart_rate"`
	EventTime time.Time `parquet:"timestamp,timestamp(microsecond)"`
	Class     string    `parquet:"class"`
	Topic     string    `parquet:"kafka_topic"`
	Partition int32     `parquet:"kafka_partition"`
	Offset    int64     `parquet:"kafka_offset"`
}

func TestEveryReadingIsReadBack(t *testing.T) {
	t.Parallel()
	want := aDay(140, 1000) // several row groups
	var file bytes.Buffer
	write(t, &file, want)
	rows, err := parquet.Read[row](bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil || len(rows) != len(want) {
		t.Fatalf("read %d rows, %v; want %d", len(rows), err, len(want))
	}
	for i, r := range rows {
		got := readmodel.Reading{
			Customer: r.Customer, BPM: r.BPM, EventTime: r.EventTime.UTC(), Class: r.Class, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		}
		if got != want[i] {
			t.Fatalf("row %d (-want +got):\n%s", i, cmp.Diff(want[i], got))
		}
	}
}

// The statistics of row groups let a reader find one customer without reading the others.
func TestFewRowGroupsHoldOneCustomer(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	write(t, &text, aDay(600, 500))
	file, err := parquet.OpenFile(bytes.NewReader(text.Bytes()), int64(text.Len()))
	if err != nil {
		t.Fatal(err)
	}
	groups := file.Metadata().RowGroups
	holding := 0
	for i, group := range groups {
		statistics := group.Columns[0].MetaData.Statistics
		if string(statistics.MinValue) <= "CUST_00901" && "CUST_00901" <= string(statistics.MaxValue) {
			holding++
		}
		if len(group.SortingColumns) != 2 || group.SortingColumns[0].ColumnIdx != 0 || group.SortingColumns[1].ColumnIdx != 2 {
			t.Errorf("row group %d declares the order %v, want customer and time", i, group.SortingColumns)
		}
	}
	if len(groups) < 3 || holding != 1 {
		t.Errorf("%d of %d row groups may hold one customer, want 1 of 3", holding, len(groups))
	}
}

// BenchmarkWrite writes a partition's day: 3,333 customers, each once a minute.
func BenchmarkWrite(b *testing.B) {
	readings := aDay(3333, 1440)[:1_000_000]
	var counted counter
	for b.Loop() {
		counted = 0
		write(b, &counted, readings)
	}
	b.ReportMetric(float64(len(readings))*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(float64(counted)/float64(len(readings)), "B/reading")
}

type counter int64

func (c *counter) Write(text []byte) (int, error) {
	*c += counter(len(text))
	return len(text), nil
}
