// Package auth decides who sent a request and whether that user's role may use the route. A user is known by the bearer token, a
// trusted proxy's header or a session's cookie. A request without any of them can be the local operator's, on a listener that only this
// machine reaches (LocalRule). The package signs people in and out, and records who read one person's data.
//
// It refuses a request whose sender it cannot tell, and guesses that come too fast from one address or for one name. It keeps no users:
// its Store does. A result of the Store counts for cacheTime, so a change takes effect within seconds, and for staleTime while the Store
// does not answer, so an outage of the database ends no session.
//
// An Authenticator is shared by all requests, and what it remembers is bounded. It wraps the routes of internal/web and
// internal/alarmapi; no reading passes through it.
package auth
