package ingest

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

// encodedBatch is a batch in PostgreSQL's binary format. Its buffers are reused, so that a row costs no allocation.
type encodedBatch struct {
	log       []byte // the label that rows carry as kafka_topic
	partition int32

	copies  [][]byte      // COPY streams, one for each of copyTables; empty without rows
	upserts []arrayBuffer // one for each of upsertTables
	minutes fleetMinutes

	normal, abnormal, states []uint64 // customer<<32 | index into the batch, sorted: the order of rows
	scratch                  []uint64 // for sorting

	statements pgwire.Pipeline
}

// arrayBuffer holds the rows of an upsert, one array for each column.
type arrayBuffer struct {
	rows    int
	columns [][]byte
}

func newEncodedBatch() *encodedBatch {
	e := &encodedBatch{
		copies:  make([][]byte, len(copyTables)),
		upserts: make([]arrayBuffer, len(upsertTables)),
		minutes: fleetMinutes{index: map[int64]int{}},
	}
	for i := range upsertTables {
		e.upserts[i].columns = make([][]byte, len(upsertTables[i].types))
	}
	return e
}

// maxIdleBuffer is the size above which a buffer is not kept for the next batch. Batches full of dead letters are large and rare.
const maxIdleBuffer = 4 << 20

// trim releases buffers that are too large to keep.
func (e *encodedBatch) trim() {
	for i := range e.copies {
		if cap(e.copies[i]) > maxIdleBuffer {
			e.copies[i] = nil
		}
	}
}

// encode makes e the encoding of a batch.
func (e *encodedBatch) encode(log string, partition int32, batch *pipeline.Batch) {
	e.log = append(e.log[:0], log...)
	e.partition = partition
	e.sortRows(batch)
	e.encodeCopies(batch)
	e.encodeUpserts(batch)
}

func (e *encodedBatch) encodeCopies(batch *pipeline.Batch) {
	for i := range copyTables {
		rows := copyTables[i].encode(e, append(e.copies[i][:0], pgwire.CopyHeader...), batch)
		if len(rows) == len(pgwire.CopyHeader) {
			e.copies[i] = rows[:0]
		} else {
			e.copies[i] = append(rows, pgwire.CopyTrailer...)
		}
	}
}

func (e *encodedBatch) encodeUpserts(batch *pipeline.Batch) {
	for i := range upsertTables {
		table, buffer := &upsertTables[i], &e.upserts[i]
		if buffer.rows = table.rows(batch); buffer.rows == 0 {
			continue
		}
		for c, element := range table.types {
			buffer.columns[c] = pgwire.AppendArray(buffer.columns[c][:0], element, buffer.rows)
		}
		table.encode(e, buffer.columns, batch)
	}
}

// sortRows sorts the rows by customer, then offset, and sums up the minutes. Sorted rows reach neighbouring pages of the customer
// index, which is worth a third of the write rate.
func (e *encodedBatch) sortRows(batch *pipeline.Batch) {
	e.normal, e.abnormal, e.states = e.normal[:0], e.abnormal[:0], e.states[:0]
	e.minutes.reset()
	for i := range batch.Readings {
		reading := &batch.Readings[i]
		e.minutes.add(&reading.Reading)
		key := uint64(reading.Customer)<<32 | uint64(i)
		if reading.Class.Anomaly() {
			e.abnormal = append(e.abnormal, key)
		} else {
			e.normal = append(e.normal, key)
		}
	}
	for i := range batch.Customers {
		e.states = append(e.states, uint64(batch.Customers[i].Customer)<<32|uint64(i))
	}
	e.minutes.sort()
	for _, keys := range [...]*[]uint64{&e.normal, &e.abnormal, &e.states} {
		*keys, e.scratch = radixSort(*keys, e.scratch)
	}
}

// addCopies adds a COPY for each table that the batch has rows for.
func (e *encodedBatch) addCopies(ctx context.Context, p *pgwire.Pipeline) {
	for i := range copyTables {
		if rows := e.copies[i]; len(rows) > 0 {
			p.Copy(ctx, copyTables[i].statement, copyTables[i].sql, rows)
		}
	}
}

// addRollups adds the statements for the minutes and for the upserts.
func (e *encodedBatch) addRollups(ctx context.Context, p *pgwire.Pipeline) {
	for i := range e.minutes.rows {
		p.Execute(ctx, "add_minute", addMinuteSQL, e.parameters(e.minutes.rows[i].parameters())...)
	}
	for i := range upsertTables {
		if e.upserts[i].rows > 0 {
			p.Execute(ctx, upsertTables[i].statement, upsertTables[i].sql, e.parameters(e.upserts[i].columns)...)
		}
	}
}

// parameters returns $1 and $2, which every rollup has, followed by the statement's own.
func (e *encodedBatch) parameters(own [][]byte) [][]byte {
	return append([][]byte{e.log, pgwire.Int4(e.partition)}, own...)
}

// EncodedRows are the rows of a batch in COPY format, without progress and rollups. The benchmark copies them alone to measure the
// limit that Store.Write is compared with.
type EncodedRows struct {
	batch *encodedBatch
}

// EncodeRows encodes the rows of a batch, sorted as Store.Write sorts them or in the order of arrival.
func EncodeRows(log string, partition int32, batch *pipeline.Batch, sorted bool) *EncodedRows {
	e := newEncodedBatch()
	e.log, e.partition = []byte(log), partition
	e.sortRows(batch)
	if !sorted {
		slices.SortFunc(e.normal, byArrival)
		slices.SortFunc(e.abnormal, byArrival)
	}
	e.encodeCopies(batch)
	e.normal, e.abnormal, e.states, e.scratch = nil, nil, nil, nil
	return &EncodedRows{e}
}

func byArrival(a, b uint64) int { return cmp.Compare(uint32(a), uint32(b)) }

// Copy stores the rows in one transaction.
func (r *EncodedRows) Copy(ctx context.Context, conn *pgx.Conn) error {
	r.batch.statements.Reset(conn)
	r.batch.addCopies(ctx, &r.batch.statements)
	return r.batch.statements.Run(ctx)
}
