package ingest

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/pipeline"
)

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
