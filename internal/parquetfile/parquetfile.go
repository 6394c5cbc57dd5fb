// Package parquetfile writes readings as Apache Parquet, for DuckDB, Spark, pandas and whatever else reads it.
//
// A file must be written in order of customer and event time, which its metadata declares: so few row groups hold one customer, their
// statistics name them, and the columns become small. It refuses to open, name or place files.
//
// A Writer belongs to one goroutine and holds one row group in memory. It stands behind the database on the path of a reading.
package parquetfile

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"heartbeat/internal/readmodel"
)

// row has the columns of a file. Values that repeat are in dictionaries; times and offsets, which grow, are differences.
type row struct {
	Customer  string `parquet:"customer_id,dict,zstd"`
	BPM       int32  `parquet:"heart_rate,dict,zstd"`
	EventTime int64  `parquet:"timestamp,delta,zstd,timestamp(microsecond)"` // UTC
	Class     string `parquet:"class,dict,zstd"`
	Topic     string `parquet:"kafka_topic,dict,zstd"`
	Partition int32  `parquet:"kafka_partition,dict,zstd"`
	Offset    int64  `parquet:"kafka_offset,delta,zstd"`
}

const (
	rowGroupRows = 128 << 10
	bufferedRows = 1024
)

// Writer writes one file.
type Writer struct {
	out  *parquet.GenericWriter[row]
	rows []row
}

// NewWriter returns a Writer of a file.
func NewWriter(w io.Writer) *Writer {
	out := parquet.NewGenericWriter[row](w,
		parquet.MaxRowsPerRowGroup(rowGroupRows),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending("customer_id"), parquet.Ascending("timestamp"))),
		parquet.CreatedBy("heartbeat", "", ""),
	)
	return &Writer{out: out, rows: make([]row, 0, bufferedRows)}
}

// Write adds a reading. It must not be before the last one in order of customer and event time.
func (w *Writer) Write(r *readmodel.Reading) error {
	w.rows = append(w.rows, row{
		Customer: r.Customer, BPM: r.BPM, EventTime: r.EventTime.UnixMicro(), Class: r.Class, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
	})
	if len(w.rows) < bufferedRows {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if _, err := w.out.Write(w.rows); err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	w.rows = w.rows[:0]
	return nil
}

// Close writes what is left and the file's metadata. It does not close the file.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.out.Close(); err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	return nil
}
