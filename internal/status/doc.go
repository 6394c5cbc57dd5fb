// Package status polls the database and the broker and holds what they say of the pipeline: totals, progress, lag, the
// health of each component. The console shows its snapshot.
//
// It asks on behalf of all viewers, so their number costs database and broker nothing, and it refuses to ask while they
// are slow. It declares what it needs (Store, Broker, Feed) and knows neither SQL nor Kafka nor HTTP.
// Run belongs to one goroutine; the other methods may be called from any. It stands beside the path of a reading.
package status
