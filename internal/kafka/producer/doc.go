// Package producer writes records to the topic. Publisher acknowledges each call: all in-sync replicas have the records, or
// the error says what became of each. Producer streams the simulator's events through a Publisher without waiting.
//
// It refuses to drop a record silently: what is not acknowledged in time is an error. Publisher and Producer may be shared;
// callbacks run one at a time. On the path of a reading it comes after the simulator and before the broker.
package producer
