// Package stream sends the live view to browsers as Server-Sent Events: a greeting, one compact frame per tick for the whole
// fleet, alerts, alarms, and the status snapshot.
//
// It refuses to queue for a viewer: one that does not read is dropped at its write deadline, and one that comes back with a
// cursor is told what changed meanwhile. A Stream may serve any number of viewers; each belongs to the goroutine of its request.
// It stands beside the path of a reading, behind internal/live.
package stream
