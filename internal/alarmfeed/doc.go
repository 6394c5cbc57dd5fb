// Package alarmfeed follows the open alarms in the database for all viewers of a console together: it compares their versions
// several times a second, reads the alarms that changed, and encodes each change once.
//
// It refuses to queue for a viewer: one that is too far behind gets the whole list instead of the changes. Run belongs to one
// goroutine; Since may be called from any number. It stands beside the path of a reading, between the store of alarms and the
// stream.
package alarmfeed
