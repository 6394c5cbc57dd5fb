// Package partition maintains the time partitions of the large tables: it creates them ahead of time, drops expired ones, rebuilds the
// indexes of finished ones and lists them.
//
// It deletes no reading other than by dropping a partition under a retention that was asked for. The server's clock decides, never the
// times of readings.
//
// Any number of processes may maintain a database: advisory locks let one at a time change partitions and one rebuild indexes.
//
// It works beside the path of a reading: a reading without a partition of its own goes to the default partition.
package partition
