// Package kafka is the way in and out of the broker: Client reaches the cluster and looks after the topic, Producer
// sends events, Consumer hands the records of each assigned partition to a worker.
//
// It refuses to decode what it carries, to decide where a partition's reading goes on (the database owns the offset),
// and to drop anything: an outage is waited out, a final error ends the role. It alone imports the Kafka library, and
// nothing of that library shows in what it exports.
//
// Client and Producer may be shared. Callbacks run on the library's goroutines, one at a time.
//
// On the path of a reading it is both ends of the broker: behind the simulator, and before the pipeline.
package kafka
