// Package bench measures Heartbeat: how fast the database takes the bare rows, how much of that the consumer keeps, how
// long a reading takes at a steady rate, what growth does to all of it, and what it costs in processor, log and disk.
//
// Every figure is taken from the outside, off real processes: the consumer and the embedded broker run as children of
// their own, so that the processor's time and the memory of each can be told apart. What is compared is measured in one
// run, in turns, so that a busy machine slows both sides alike. It refuses to report a speed at which rows went missing: a
// wrong count fails the run. It works in databases and topics of its own and leaves the databases of others alone.
//
// Run belongs to one goroutine. It stands outside the path of a reading and measures it from end to end.
package bench
