// Package consumer is a member of the consumer group: it gives each assigned partition a pipeline.Worker and feeds it the
// partition's records, in order.
//
// It refuses to decode records, to drop any, and to decide where a partition goes on: the group decides who reads a
// partition, the database decides who writes it and from which offset. An outage is waited out.
//
// A Consumer's Run belongs to one goroutine. Each partition has a queue with a goroutine of its own; the session that owns
// the queues calls them, never the other way round. On the path of a reading it comes after the broker and before the
// pipeline.
package consumer
