// Package format reads heart rates from the documents and files that people have: Apple Health, Fitbit, Health Connect, FHIR R4,
// Open mHealth, CSV and NDJSON. Each reader is an iterator over items: a sample, or why there is none, with its position. Memory is
// constant, whatever the size of the input.
//
// It refuses to guess: what is not a heart rate, or cannot be placed in time, is left out with a reason. It knows no customers: it
// gives the names that the input has, and its caller maps them. It has no clock and no I/O but the given reader.
//
// Readers share nothing and belong to one goroutine each. The package stands before the path of a reading: what it reads
// becomes an event on the wire.
package format
