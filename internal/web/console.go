package web

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"heartbeat/internal/httpserver"
)

// built holds what Vite made of web/. Without Node it holds robots.txt alone, and missing.html is served.
//
//go:embed dist
var built embed.FS

//go:embed missing.html
var missing []byte

//go:embed missing.css
var missingStyle []byte

//go:embed openapi.json
var description []byte

func (s *Server) openapi(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	http.ServeContent(w, r, "openapi.json", s.started, bytes.NewReader(s.description))
	return nil
}

// pages serves the console's files. Their names carry a hash of their content, so they may be kept for ever; the page
// that names them may not.
func (s *Server) pages() http.Handler {
	files, err := fs.Sub(built, "dist")
	if err != nil {
		panic(err) // the directory is part of the binary
	}
	return s.responder.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if name == "" {
			name = "index.html"
		}
		content, err := fs.ReadFile(files, name)
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			return httpserver.NewProblem(httpserver.MethodNotAllowed, "%s is not among the methods of a page", r.Method)
		case err == nil:
			serveFile(w, r, name, content)
		case name == "index.html":
			serveFile(w, r, name, missing)
		case name == "missing.css":
			serveFile(w, r, name, missingStyle)
		default:
			return httpserver.NewProblem(httpserver.NotFound, "there is no page %s", r.URL.Path)
		}
		return nil
	})
}

func serveFile(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	w.Header().Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}

// policy allows the console's own files and nothing else: no inline script, no other host, no frame around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func withPolicy(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		inner.ServeHTTP(w, r)
	})
}
