// Package web is the console's server: the JSON API under /api/v1, the live stream, health, metrics, and the built
// pages.
//
// It declares what it needs of its surroundings (Fleet, Store, Log, Feed) and knows neither SQL nor Kafka. It refuses to do
// work for a viewer that does not read, to answer without a limit, to write for another origin, and to be reachable from other
// machines without a token. It alone knows HTTP status codes.
//
// A Server may be used by any number of requests. It stands beside the path of a reading and can neither slow nor
// change it; the one thing it can cause is the replay of a dead letter.
package web
