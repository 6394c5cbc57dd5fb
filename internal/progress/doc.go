// Package progress decides how far the readings are stored: lag, stalls, offsets that nothing accounts for, and the reason
// why a partition stands still. The console, the probes, the metrics, doctor and verify all show its figures.
//
// It is pure: the caller brings the broker's bounds, the group's description, the stored rows and the time, and the package
// does no I/O. A Tracker belongs to one goroutine; values may be shared once made. It stands beside the path of a reading.
package progress
