// Package query reads what is stored: the console's figures, lists and series (Dashboard), the progress of partitions, readings for an
// export (Readings), and a consistent snapshot for the audit (AuditSnapshot).
//
// It writes nothing. Dashboard reads rollups or ranges bounded by an index, never a whole table of readings; Readings goes through it page
// by page or day by day; AuditSnapshot reads every row and is for heartbeat verify alone.
//
// A Dashboard and Readings may be shared by goroutines, an AuditSnapshot belongs to one.
//
// It stands beside the path of a reading and sees a batch after its commit.
package query
