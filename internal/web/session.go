package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"heartbeat/internal/httpserver"

	"github.com/go-json-experiment/json"
	"golang.org/x/time/rate"
)

const (
	minToken        = 12
	sessionCookie   = "heartbeat_session"
	sessionLifetime = 12 * time.Hour
	maxSessions     = 1000
)

// sessions knows the token and who has shown it.
type sessions struct {
	token [sha256.Size]byte
	none  bool // no token is asked for
	tries *rate.Limiter

	mu   sync.Mutex // guards open
	open map[[sha256.Size]byte]time.Time
}

func newSessions(token string) *sessions {
	return &sessions{
		token: sha256.Sum256([]byte(token)),
		none:  token == "",
		tries: rate.NewLimiter(rate.Every(time.Second), 5),
		open:  map[[sha256.Size]byte]time.Time{},
	}
}

// right compares in constant time; hashing first hides the length too.
func (s *sessions) right(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// admits tells whether a request carries the token or the cookie of a session.
func (s *sessions) admits(r *http.Request) bool {
	if s.none {
		return true
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.right(token)
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.open[sha256.Sum256([]byte(cookie.Value))]
	return known && time.Now().Before(until)
}

// begin opens a session and returns what its cookie holds. The oldest gives way when there are too many.
func (s *sessions) begin() string {
	secret := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxSessions {
		s.dropOldest()
	}
	s.open[sha256.Sum256([]byte(secret))] = time.Now().Add(sessionLifetime)
	return secret
}

func (s *sessions) dropOldest() {
	var oldest [sha256.Size]byte
	var first time.Time
	for key, until := range s.open {
		if first.IsZero() || until.Before(first) {
			oldest, first = key, until
		}
	}
	delete(s.open, oldest)
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256([]byte(secret)))
}

type sessionBody struct {
	Needed   bool   `json:"token_needed"`
	SignedIn bool   `json:"signed_in"`
	Version  string `json:"version"`
}

func (s *Server) authorized(inner httpserver.Handler) httpserver.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.sessions.admits(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="heartbeat"`)
			return httpserver.NewProblem(httpserver.Unauthorized, "sign in on the console, or send the token as Authorization: Bearer …")
		}
		return inner(w, r)
	}
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) error {
	return httpserver.WriteJSON(w, sessionBody{Needed: !s.sessions.none, SignedIn: s.sessions.admits(r), Version: s.options.Version})
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return httpserver.NewProblem(httpserver.UnsupportedMedia, "send the token as application/json: {\"token\": \"…\"}")
	}
	var body struct {
		Token string `json:"token"`
	}
	if err := json.UnmarshalRead(r.Body, &body); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return httpserver.NewProblem(httpserver.BadRequest, "the body is not {\"token\": \"…\"}")
	}
	if !s.sessions.tries.Allow() {
		return httpserver.NewProblem(httpserver.TooManyRequests, "too many attempts to sign in: wait a few seconds").RetryAfter(5 * time.Second)
	}
	if !s.sessions.none && !s.sessions.right(body.Token) {
		return httpserver.NewProblem(httpserver.WrongToken, "this is not the console's token: it is what HEARTBEAT_TOKEN was set to")
	}
	http.SetCookie(w, sessionCookieOf(r, s.sessions.begin(), int(sessionLifetime.Seconds())))
	return httpserver.WriteJSON(w, sessionBody{Needed: !s.sessions.none, SignedIn: true, Version: s.options.Version})
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.sessions.end(cookie.Value)
	}
	http.SetCookie(w, sessionCookieOf(r, "", -1))
	return httpserver.WriteJSON(w, sessionBody{Needed: !s.sessions.none, SignedIn: s.sessions.none, Version: s.options.Version})
}

func sessionCookieOf(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
