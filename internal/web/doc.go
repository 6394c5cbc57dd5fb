// Package web is the console's server: the JSON API under /api/v1, the live stream, health, metrics, and the built
// pages.
//
// It declares the interfaces it uses (Fleet, Store, Replayer) and knows neither SQL nor Kafka. It refuses requests without
// a limit, with a query that it would ignore in part, and from another origin.
//
// A Server may be used by any number of requests. It stands beside the path of a reading and can neither slow nor
// change it; the only write it causes is the replay of a dead letter.
package web
