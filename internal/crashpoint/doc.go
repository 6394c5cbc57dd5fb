// Package crashpoint lets a test kill the process at a named point on the path of a reading, where a crash is most
// dangerous. It does nothing unless the binary is built with the tag crashpoints, which no release is.
//
// With the tag, HEARTBEAT_CRASH_POINT=<point>@<n> kills the process when it reaches the point for the nth time. Any
// goroutine may reach a point.
package crashpoint

// Point names a crash point.
type Point string

// The points, in the order in which a batch reaches them.
const (
	AfterInsert        Point = "after-insert"         // the rows are sent, the rollups are not
	BeforeCommit       Point = "before-commit"        // everything is sent, but not COMMIT
	CommitSent         Point = "commit-sent"          // COMMIT is sent, its answer is not read
	AfterCommit        Point = "after-commit"         // the database has answered, the worker has not adopted the batch
	BeforeOffsetCommit Point = "before-offset-commit" // the worker has adopted the batch, Kafka does not have its offset
)
