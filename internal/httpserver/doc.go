// Package httpserver is what every HTTP role of Heartbeat shares: errors as problem+json with stable codes, limits on
// requests and bodies, checks of Host and Origin, listening, the server's timeouts and shutdown.
//
// It refuses to know what a role serves: a role brings its handlers, says what its own errors mean, and chooses the limits.
// It alone maps error codes to HTTP statuses. Everything in it may be used by any number of requests at a time.
// It stands beside the path of a reading.
package httpserver
