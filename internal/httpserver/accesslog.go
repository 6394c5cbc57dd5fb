package httpserver

import (
	"log/slog"
	"net/http"
	"time"
)

// LogRequests logs each response at Debug, without the query, which may name a person.
func LogRequests(logger *slog.Logger, inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !logger.Enabled(r.Context(), slog.LevelDebug) {
			inner.ServeHTTP(w, r)
			return
		}
		began, recorded := time.Now(), NewStatusRecorder(w)
		inner.ServeHTTP(recorded, r)
		logger.Debug("request served", "method", r.Method, "path", r.URL.Path, "status", recorded.Status,
			"took", time.Since(began), "remote", r.RemoteAddr)
	})
}

// StatusRecorder remembers the status of a response. Unwrap lets a response controller reach the connection.
type StatusRecorder struct {
	http.ResponseWriter
	Status int
}

// NewStatusRecorder returns a recorder of what is written to w.
func NewStatusRecorder(w http.ResponseWriter) *StatusRecorder {
	return &StatusRecorder{ResponseWriter: w, Status: http.StatusOK}
}

// WriteHeader implements http.ResponseWriter.
func (s *StatusRecorder) WriteHeader(status int) {
	s.Status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap implements what http.ResponseController looks for.
func (s *StatusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
