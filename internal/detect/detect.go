// Package detect holds the alarm rules: Step takes one reading of one customer, the State of that customer and the limits in
// force, and says which alarms it raises, worsens, reopens or clears. LimitHistory resolves those limits.
//
// It refuses to do I/O, to log and to look at a clock. Time is the time used of the readings, so a replay of the log, with
// the same limits and Settings, gives the same transitions with the same alarm ids, wherever the State was encoded, stored
// and restored in between. It knows nothing of people: acknowledging, latching and snoozing belong to the database. Silence
// needs a clock and is decided in package pipeline, after SilentAfter.
//
// A Detector and a LimitHistory never change and may be shared. A State belongs to one goroutine.
//
// On the path of a reading it stands between the decoded batch and the transaction that stores it. The caller steps a copy
// of each State and adopts the copy after the commit. What the database must do for the transitions to hold:
//
//   - Transitions commit with the batch of their readings; a replay below the stored offset discards them.
//   - A raise inserts an alarm under its AlarmID. Other transitions belong to the alarm of their subject and condition that is
//     open, or was cleared last: at most one is open.
//   - The encoded State is stored with the offset as of which it holds. Stepping the log from that offset on gives the
//     state again, provided that every limit that was in force is still in the history.
package detect
