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
		began, recorded := time.Now(), &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		inner.ServeHTTP(recorded, r)
		logger.Debug("request served", "method", r.Method, "path", r.URL.Path, "status", recorded.status,
			"took", time.Since(began), "remote", r.RemoteAddr)
	})
}

// statusRecorder remembers the status of a response. Unwrap lets a response controller reach the connection.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
