// Package auth decides who sent a request and whether the route's role allows it: by the bearer token, a trusted proxy's header, a
// session's cookie, or, on the loopback address, as the local operator. It signs people in and out, throttles guesses, and
// records who read one person's data.
//
// It refuses to keep users: its Store does. What it looks up it keeps for cacheTime, so a change takes effect within seconds; while the
// Store does not answer, who was signed in stays so for staleTime. An Authenticator may be shared. It stands outside the path of a reading.
package auth
