package ingest

import (
	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/pipeline"
)

// copyTable is a table that a batch appends rows to.
type copyTable struct {
	statement string // the name under which a session prepares it
	sql       string
	// encode appends the rows of a batch to a binary COPY stream.
	encode func(e *encodedBatch, stream []byte, batch *pipeline.Batch) []byte
}

// upsertTable is a table in which a batch inserts or updates rows.
type upsertTable struct {
	statement string
	sql       string   // takes the log as $1, the partition as $2 and an array for each column from $3 on
	types     []uint32 // of the arrays' elements
	rows      func(batch *pipeline.Batch) int
	// encode appends the rows to the arrays, in an order of rows that all writers share: otherwise two writers could deadlock.
	encode func(e *encodedBatch, columns [][]byte, batch *pipeline.Batch)
}

// copyTables and upsertTables are all tables that a batch writes to, in the order of writing, apart from ingest_progress and
// fleet_minute. A further table is one entry.
var (
	copyTables = [...]copyTable{
		{"copy_records", copyRecordsSQL, encodeRecords},
		{"copy_anomalies", copyAnomaliesSQL, encodeAnomalies},
		{"copy_metrics", copyMetricsSQL, encodeMetrics},
		{"copy_dead_letters", copyDeadLettersSQL, encodeDeadLetters},
		{"copy_repeat_window", copyRepeatWindowSQL, encodeRepeatWindow},
		{"copy_repeated", copyRepeatedSQL, encodeRepeated},
	}
	upsertTables = [...]upsertTable{
		{
			statement: "put_customers", sql: putCustomersSQL,
			types: []uint32{pgtype.TextOID, pgtype.TimestamptzOID, pgtype.Int8OID, pgtype.Int4OID, pgtype.TextOID, pgtype.TimestamptzOID,
				pgtype.TextOID, pgtype.Float8OID, pgtype.BoolOID, pgtype.Int8OID},
			rows: func(batch *pipeline.Batch) int { return len(batch.Customers) }, encode: encodeCustomers,
		},
		{
			statement: "put_detector_states", sql: putDetectorStatesSQL,
			types: []uint32{pgtype.TextOID, pgtype.Int8OID, pgtype.ByteaOID, pgtype.TimestamptzOID},
			rows:  func(batch *pipeline.Batch) int { return len(batch.States) }, encode: encodeDetectorStates,
		},
		{
			statement: "put_silences", sql: putSilencesSQL,
			types: []uint32{pgtype.TextOID, pgtype.TimestamptzOID, pgtype.Int8OID},
			rows:  func(batch *pipeline.Batch) int { return len(batch.Silent) }, encode: encodeSilences,
		},
		{
			statement: "end_silences", sql: endSilencesSQL,
			types: []uint32{pgtype.TextOID},
			rows:  func(batch *pipeline.Batch) int { return len(batch.HeardAgain) }, encode: encodeHeardAgain,
		},
	}
)
