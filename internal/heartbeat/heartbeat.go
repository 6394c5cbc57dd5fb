// Package heartbeat is the vocabulary of the system: a customer, a reading, its class, and the reason why a
// record is not a reading. It decodes, validates and classifies what arrives on the wire, and writes what is sent.
//
// It refuses to do I/O, to log and to look at the clock: every decision is a function of the record alone, so a
// replay decides the same. Values are plain and may be shared freely; a Decoder belongs to one goroutine.
//
// On the path of a reading it is the first step after the Kafka partition and everything else imports it.
package heartbeat
