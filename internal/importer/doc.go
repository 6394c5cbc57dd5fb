// Package importer sends the readings of files through Kafka, each once: `heartbeat import`.
//
// It reads the files, waits until consumers have stored what the topic holds, asks the database which readings are not stored, sends
// those, and waits until they are stored too. A lock lets one import run at a time. So a second import of a file adds nothing,
// whenever the first one ended. It stores nothing by itself, changes no stored reading, and never sends what consumers would refuse.
//
// Run uses one goroutine, and another one that reports progress. It stands before the path of a reading: what it sends is consumed like
// any other event, with its own time and the Kafka timestamp of its sending.
package importer
