package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"heartbeat/internal/httpserver"

	"github.com/go-json-experiment/json"
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
	none  bool   // no token is asked for
	path  string // of the cookie

	failures *httpserver.Failures

	mu   sync.Mutex // guards open
	open map[[sha256.Size]byte]time.Time
}

func newSessions(token, basePath string, failures *httpserver.Failures) *sessions {
	return &sessions{
		token:    sha256.Sum256([]byte(token)),
		none:     token == "",
		path:     basePath + "/",
		failures: failures,
		open:     map[[sha256.Size]byte]time.Time{},
	}
}

// right compares in constant time; hashing first hides the length too.
func (s *sessions) right(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}

// admits reports whether a request carries the token or the cookie of a session. A wrong token counts as a failure of the
// client's address; the error is for an address with too many of them. The right token passes whatever others tried.
func (s *sessions) admits(r *http.Request) (bool, error) {
	if s.none {
		return true, nil
	}
	if token, ok := bearer(r); ok {
		if s.right(token) {
			return true, nil
		}
		return false, s.failures.Add(r, "bearer token")
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.open[sha256.Sum256([]byte(cookie.Value))]
	return known && time.Now().Before(until), nil
}

// bearer returns the token of an Authorization header. The name of the scheme may be in any case.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimLeft(token, " "), strings.EqualFold(scheme, "bearer")
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
		admitted, err := s.sessions.admits(r)
		if err != nil {
			return err
		}
		if !admitted {
			w.Header().Set("WWW-Authenticate", `Bearer realm="heartbeat"`)
			return httpserver.NewProblem(httpserver.Unauthorized, "sign in on the console, or send the token as Authorization: Bearer …")
		}
		return inner(w, r)
	}
}

// actor names who sent a request, as the history of alarms and limits keeps it.
func (s *Server) actor(*http.Request) string {
	if s.sessions.none {
		return "local"
	}
	return "token"
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) error {
	admitted, err := s.sessions.admits(r)
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, sessionBody{Needed: !s.sessions.none, SignedIn: admitted, Version: s.options.Version})
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return httpserver.NewProblem(httpserver.UnsupportedMedia, "send the token as application/json: {\"token\": \"…\"}")
	}
	var body struct {
		Token *string `json:"token"`
	}
	err := json.UnmarshalRead(r.Body, &body, json.RejectUnknownMembers(true))
	if err != nil || body.Token == nil {
		return httpserver.NewProblem(httpserver.BadRequest, "the body is not {\"token\": \"…\"}")
	}
	if !s.sessions.none && !s.sessions.right(*body.Token) {
		if err := s.sessions.failures.Add(r, "sign-in token"); err != nil {
			return err
		}
		return httpserver.NewProblem(httpserver.WrongToken, "this is not the console's token: it is what HEARTBEAT_TOKEN was set to")
	}
	http.SetCookie(w, s.sessions.cookie(r, s.sessions.begin(), int(sessionLifetime.Seconds())))
	return httpserver.WriteJSON(w, sessionBody{Needed: !s.sessions.none, SignedIn: true, Version: s.options.Version})
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.sessions.end(cookie.Value)
	}
	http.SetCookie(w, s.sessions.cookie(r, "", -1))
	return httpserver.WriteJSON(w, sessionBody{Needed: !s.sessions.none, SignedIn: s.sessions.none, Version: s.options.Version})
}

func (s *sessions) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: s.path, MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
