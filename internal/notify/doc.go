// Package notify decides who hears of an alarm, when, and in which words: the file of destinations and routes, the messages that
// pending events become, and how long a failed message waits for its next attempt.
//
// It refuses to do I/O but for reading the file and its secrets, and to read a clock: internal/postgres/outbox keeps events and
// messages, internal/notify/destination sends them, internal/notifier runs both. A Router is read-only and may be shared.
//
// It is behind the path of a reading: it works on the history that batches have committed.
package notify
