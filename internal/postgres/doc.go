// Package postgres connects to PostgreSQL 15 or later: options and connection strings, the pool, the settings that each session
// relies on, and the class of each error (Classify). The packages below it stand on it: schema (migrations, roles), ingest (writing
// batches), partition (time partitions), query (reading); pgwire is the protocol underneath.
//
// It alone knows SQLSTATE: errors leave it as a pipeline.Fault or as plain text without secrets. It knows no table, retries nothing
// and holds no state.
//
// A pool may be shared by goroutines.
//
// On the path of a reading it provides the session on which ingest writes.
package postgres
