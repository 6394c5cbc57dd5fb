// Package pgwire speaks the parts of PostgreSQL's wire protocol that pgx does not offer at full speed: a pipeline of statements
// that includes COPY, and the binary encoding of rows and parameters.
//
// It knows no table and no statement, retries nothing and does not classify errors. Values of this package belong to one goroutine.
//
// On the path of a reading it is the transport between ingest and the server.
package pgwire
