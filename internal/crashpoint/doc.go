// Package crashpoint lets a test kill the process at a named moment on the path of a reading, just where a crash would
// be worst. It does nothing at all unless the binary is built with the tag crashpoints, which no release is.
//
// With the tag, HEARTBEAT_CRASH_POINT=<point>@<n> kills the process when it reaches the point for the nth time. Points may be
// reached by any goroutine.
package crashpoint

// Point names a moment.
type Point string

// The moments, in the order in which a batch comes by.
const (
	AfterInsert  Point = "after-insert"  // the rows are sent, the rollups are not
	BeforeCommit Point = "before-commit" // everything is sent, but not COMMIT
	CommitSent   Point = "commit-sent"   // COMMIT is sent, its answer is not read
	AfterCommit  Point = "after-commit"  // the database has said that it is done, nobody else knows
	BeforeHint   Point = "before-hint"   // the worker has gone on, Kafka has not heard of it
)
