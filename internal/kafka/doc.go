// Package kafka connects to the brokers. Client looks after the topic, Publisher writes records with an acknowledgement
// per call, Producer streams the simulator's events through it, Consumer feeds the records of each assigned partition
// to a pipeline.Worker, and Follower reads the newest records for the live view.
//
// It refuses to decode records, to decide where a partition's reading goes on (the database owns the offset), and to drop
// anything: an outage is waited out, a final error ends the role. It alone imports the Kafka library, whose types do not
// appear in its API.
//
// Client, Publisher and Producer may be shared. Callbacks run on the library's goroutines, one at a time.
//
// On the path of a reading it is both ends of the broker: after the simulator, and before the pipeline.
package kafka
