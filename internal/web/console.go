package web

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
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
	http.ServeContent(w, r, "openapi.json", s.started, bytes.NewReader(description))
	return nil
}

// pages serves the console's files. Their names carry a hash of their content, so they may be kept for ever; the page
// that names them may not.
func (s *Server) pages() http.Handler {
	files, err := fs.Sub(built, "dist")
	if err != nil {
		panic(err) // the directory is part of the binary
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if name == "" {
			name = "index.html"
		}
		content, err := fs.ReadFile(files, name)
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			tell(w, r, s.log, problem(notAllowed, "%s is not among the methods of a page", r.Method))
		case err == nil:
			serveFile(w, r, name, content)
		case name == "index.html":
			serveFile(w, r, name, missing)
		case name == "missing.css":
			serveFile(w, r, name, missingStyle)
		default:
			tell(w, r, s.log, problem(notFound, "there is no page %s", r.URL.Path))
		}
	})
}

func serveFile(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	w.Header().Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
