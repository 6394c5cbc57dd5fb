package web

import (
	"net"
	"net/http"
)

// policy allows the console's own files and nothing else: no inline script, no other host, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard refuses what no handler should see and sets the headers that every answer carries.
func (s *Server) guard(inner http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(s.finish(func(_ http.ResponseWriter, r *http.Request) error {
		return problem(forbidden, "a page of another origin (%s) may not write here", r.Header.Get("Origin"))
	}))
	checked := origins.Handler(inner)
	foreign := s.finish(func(_ http.ResponseWriter, r *http.Request) error {
		return problem(hostNotAllowed, "this console answers to localhost only, not to %q: set a token to serve other names", r.Host)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if s.options.Token == "" && !localName(r.Host) {
			foreign(w, r)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

func secure(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

// localName tells whether a Host header names this machine. Without a token that is all that keeps a page of another
// site from reaching the console under a name of its own that resolves to 127.0.0.1.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(trimBrackets(host))
	return ip != nil && ip.IsLoopback()
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
