package httpserver

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"heartbeat/internal/port"
)

// Guard refuses requests that no handler should see.
type Guard struct {
	Responder Responder
	Hosts     []string // names, with or without a port, under which a reverse proxy offers the role
	Advice    string   // how other names than localhost are let in; empty: that of the console
	AnyHost   bool     // every client must sign in, so a page of another site gains nothing from a name of its own
}

// Wrap puts the checks of Host and Origin around a handler, and the security headers on every response.
func (g Guard) Wrap(inner http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	checked := g.Responder.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		secure(w.Header())
		if !g.AnyHost && !localName(r.Host) && !g.named(r.Host) {
			advice := cmp.Or(g.Advice, "start it with --allowed-host "+hostName(r.Host)+", or set a token in HEARTBEAT_TOKEN")
			return NewProblem(HostNotAllowed, "this server answers to localhost only, not to %q: %s", r.Host, advice)
		}
		if origins.Check(r) != nil && !g.namedOrigin(r) {
			return NewProblem(CrossOrigin, "the page that sent this is of %s and the request is for the host %s, so it is refused as a "+
				"write from another site. Behind a reverse proxy, let it pass on the Host header, or start it with --allowed-host %s",
				originText(r), r.Host, originHost(r))
		}
		inner.ServeHTTP(w, r)
		return nil
	})
	return checked
}

// named reports whether a host is among those the role is offered under.
func (g Guard) named(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(g.Hosts, func(name string) bool {
		name = strings.ToLower(name)
		return name == host || name == hostName(host)
	})
}

func (g Guard) namedOrigin(r *http.Request) bool {
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && g.named(origin.Host)
}

func originText(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != "" {
		return origin
	}
	return "another site"
}

func originHost(r *http.Request) string {
	if origin, err := url.Parse(r.Header.Get("Origin")); err == nil && origin.Host != "" {
		return origin.Host
	}
	return "NAME"
}

// hostName returns a Host header without its port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

func secure(header http.Header) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

// localName reports whether a Host header names this machine. Without a token only this check keeps a page of another site
// from reaching the server under a name of its own that resolves to 127.0.0.1.
func localName(host string) bool { return port.Loopback(hostName(host)) }
