// Package ingest stores batches of readings exactly once. A Store claims partitions, writes batches with their progress, records
// incidents and replays dead letters.
//
// It decides nothing about a reading, retries nothing and deletes nothing. Its errors are pipeline faults: the caller repeats a batch
// after an outage, and splits it after a data error.
//
// A Store may be shared by goroutines. Each method is one transaction on one session. The fence in ingest_progress keeps two writers
// of a partition apart, never a lock in this process.
//
// On the path of a reading it is the last step: its commit is the only acknowledgement.
package ingest
