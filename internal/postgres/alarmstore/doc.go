// Package alarmstore keeps alarms and their history in PostgreSQL: what the detector reports goes in with the batch of its
// readings, what operators do goes in as single statements, and lists and counts come out.
//
// It refuses to decide what an event means: internal/alarm's Fold does, and the statement of the batch does the same in SQL, where
// only the row's lock knows what operators did. A test holds the two against each other. It also refuses to hold a row
// while a person thinks: an operator's statement names the version that it was decided on, and is decided again when that
// version has passed.
//
// A Store may be shared. On the path of a reading this package is part of the batch's transaction; otherwise it is beside it.
package alarmstore
