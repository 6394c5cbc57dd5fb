// Package bench measures Heartbeat: the rate at which the database stores the bare rows, the part of it that the consumer reaches,
// the latency of a reading at a steady rate, the effect of growth, and the cost in processor time, write-ahead log and disk.
//
// Every figure comes from outside real processes: the consumer and the embedded broker run as children, so that the processor
// time and memory of each can be measured separately. Compared figures are measured alternately in one run, so that a busy
// machine slows both sides alike. A run whose row counts are wrong fails instead of reporting. It works in databases and topics
// of its own and does not touch others. The results are in package report, the kernel's figures come from procstat.
//
// Run belongs to one goroutine. It is not on the path of a reading; it measures the path from end to end.
package bench
