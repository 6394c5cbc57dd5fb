// Package device is the vocabulary of what sends readings over HTTP, a wearable, a phone or a gateway of many, and the set of tokens that
// are valid now: whose token a request carries, and whose readings that device may send.
//
// It refuses to store devices, which internal/postgres/devicestore does, and to ask the database for a request: a Registry polls the
// devices every PollInterval, so a change takes effect within seconds and an outage of the database refuses no device before MaxAge. It
// limits no rate: it says which one a device has.
//
// A Registry is shared by all requests, which take no lock: each poll replaces the whole set at once. Run belongs to one goroutine. The
// package stands before Kafka on the path of a reading that comes over HTTP.
package device
