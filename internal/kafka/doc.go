// Package kafka connects to the brokers. Client reaches the cluster, looks after the topic and describes topic and group;
// Follower reads the newest records for the live view. Below it, package producer writes records and package consumer feeds
// the records of each assigned partition to a pipeline.Worker.
//
// It refuses to decode records, except for the live view, and to decide where a partition's reading goes on: the database
// owns the offset. It and the packages below it are the only importers of the Kafka library, whose types appear only in
// what those packages call.
//
// Client may be shared. On the path of a reading it is both ends of the broker: after the simulator, and before the
// pipeline.
package kafka
