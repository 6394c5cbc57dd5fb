package httpserver

import (
	"net"
	"net/http"

	"heartbeat/internal/port"
)

// Guard refuses requests that no handler should see.
type Guard struct {
	Responder Responder
	AnyHost   bool // the role asks for a token, so a page of another site gains nothing from a name of its own
}

// Wrap puts the checks of Host and Origin around a handler, and the security headers on every response.
func (g Guard) Wrap(inner http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(g.Responder.Wrap(func(_ http.ResponseWriter, r *http.Request) error {
		return NewProblem(CrossOrigin, "a page of another origin (%s) may not write here", r.Header.Get("Origin"))
	}))
	checked := origins.Handler(inner)
	foreign := g.Responder.Wrap(func(_ http.ResponseWriter, r *http.Request) error {
		return NewProblem(HostNotAllowed, "this console answers to localhost only, not to %q: set a token to serve other names", r.Host)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if !g.AnyHost && !localName(r.Host) {
			foreign(w, r)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

func secure(header http.Header) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

// localName tells whether a Host header names this machine. Without a token only this check keeps a page of another site
// from reaching the server under a name of its own that resolves to 127.0.0.1.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return port.Loopback(host)
}
