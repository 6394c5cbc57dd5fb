// Package detect holds the alarm rules: Step takes one reading of one customer, the State of that customer and the limits in
// force, and says which alarms it raises, worsens, reopens or clears. LimitHistory resolves those limits.
//
// It refuses to do I/O, to log and to look at a clock. Time is the time used of the readings, so a replay of the log, with
// the same limits and Settings, gives the same transitions with the same alarm ids, wherever the State was encoded, stored
// and restored in between. It knows nothing of people: acknowledging, latching and snoozing belong to the database. Silence
// needs a clock and is decided elsewhere; Heard is what it goes by.
//
// A Detector and a LimitHistory never change and may be shared. A State belongs to one goroutine.
//
// On the path of a reading it stands between the decoded batch and the transaction that stores it. The caller steps a copy
// of each State and adopts the copy after the commit. What the database must do for the transitions to hold:
//
//   - Transitions commit with the batch of their readings; a replay below the stored offset discards them.
//   - An alarm's row has its AlarmID as key. Raise inserts, Reopen and Worsen and Clear update. Fold makes one row of the
//     several transitions of an alarm in a batch. Rows that end closed are written first, so that the unique index over the
//     open alarms of (subject, condition) holds after each row.
//   - The encoded State is stored with the offset as of which it holds. Stepping the log from that offset on gives the
//     state again, provided that every limit that was in force is still in the history.
package detect
