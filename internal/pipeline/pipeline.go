// Package pipeline is the spine: it takes the records of one partition, decodes, classifies and batches them, and
// hands each batch to a Store, whose commit is the only acknowledgement there is.
//
// It declares the interface that it needs (Store) and knows neither Kafka nor SQL. It never skips a record and
// never acknowledges one that is not stored: an outage is waited out with the same batch in hand, bad data is
// searched for by halving the batch and becomes a dead letter.
//
// One Worker serves one partition and belongs to one goroutine; Meter is shared by all workers of a process.
package pipeline
