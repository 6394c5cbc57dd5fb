package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

const (
	sessionCookie   = "heartbeat_session"
	sessionLifetime = 12 * time.Hour
	secretBytes     = 32
)

// State says how to sign in and whether that is needed.
type State struct {
	Needed   bool `json:"sign_in_needed"`
	SignedIn bool `json:"signed_in"`
	Password bool `json:"password"` // there are users, who sign in with name and password
	Token    bool `json:"token"`
}

// State returns the state of a request. Only an address that guesses tokens gets an error.
func (a *Authenticator) State(r *http.Request) (State, error) {
	_, err := a.identify(r)
	if problem, ok := errors.AsType[*httpserver.Problem](err); ok && problem.Code == httpserver.TooManyRequests {
		return State{}, err
	}
	return a.state(r.Context(), err == nil), nil
}

func (a *Authenticator) state(ctx context.Context, signedIn bool) State {
	_, local := a.local(ctx)
	exist, _ := a.usersExist(ctx) // unknown: the token may still be offered
	return State{Needed: !local, SignedIn: signedIn || local, Password: exist, Token: a.options.Token != ""}
}

// Me is who sent a request.
type Me struct {
	Name   string       `json:"name"`
	Role   users.Role   `json:"role"`
	Method users.Method `json:"method"`
	Ends   *time.Time   `json:"session_ends_at"` // null without a session
}

// Me returns who sent a request that Wrap let through.
func (a *Authenticator) Me(r *http.Request) Me {
	who, _ := r.Context().Value(identityKey{}).(identity)
	me := Me{Name: who.actor.Name, Role: who.actor.Role, Method: who.actor.Method}
	if !who.ends.IsZero() {
		me.Ends = &who.ends
	}
	return me
}

type credentials struct {
	Token    *string `json:"token"`
	Name     *string `json:"name"`
	Password *string `json:"password"`
}

const wantBody = `the body is neither {"name": "…", "password": "…"} nor {"token": "…"}`

func readCredentials(r *http.Request) (body credentials, err error) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return body, httpserver.NewProblem(httpserver.UnsupportedMedia, "send name and password, or the token, as application/json")
	}
	err = json.UnmarshalRead(r.Body, &body, json.RejectUnknownMembers(true))
	byName := body.Name != nil && body.Password != nil && body.Token == nil
	byToken := body.Token != nil && body.Name == nil && body.Password == nil
	if err != nil || !byName && !byToken {
		return body, httpserver.NewProblem(httpserver.BadRequest, wantBody)
	}
	return body, nil
}

// SignIn begins a session for the credentials in the body and sets its cookie.
func (a *Authenticator) SignIn(w http.ResponseWriter, r *http.Request) (State, error) {
	body, err := readCredentials(r)
	if err != nil {
		return State{}, err
	}
	random := make([]byte, secretBytes)
	rand.Read(random) // never fails
	secret := base64.RawURLEncoding.EncodeToString(random)
	if body.Token != nil {
		err = a.beginWithToken(r, secret, *body.Token)
	} else {
		err = a.beginWithPassword(r, secret, users.CleanName(*body.Name), *body.Password)
	}
	if err != nil {
		return State{}, err
	}
	http.SetCookie(w, a.cookie(r, secret, int(sessionLifetime.Seconds())))
	return a.state(r.Context(), true), nil
}

// beginWithToken takes the right token whatever others tried: a guesser behind a shared proxy locks no machine out.
func (a *Authenticator) beginWithToken(r *http.Request, secret, token string) error {
	if !a.rightToken(token) {
		if err := a.failures.Add(r, "sign-in token"); err != nil {
			return err
		}
		return httpserver.NewProblem(httpserver.WrongToken, "this is not the console's token: it is what HEARTBEAT_TOKEN was set to")
	}
	_, hash := a.hashesOf(secret)
	if a.options.Store != nil {
		err := a.options.Store.BeginToken(r.Context(), hash, sessionLifetime)
		if err == nil {
			return nil
		}
		a.options.Logger.Warn("session not stored: it ends with this process", "cause", err)
	}
	a.memory.begin(hash, time.Now().Add(sessionLifetime))
	return nil
}

// beginWithPassword gives one response for unknown names, disabled users and wrong passwords, after the same work.
func (a *Authenticator) beginWithPassword(r *http.Request, secret, name, password string) error {
	if a.options.Store == nil {
		return wrongCredentials()
	}
	hash, err := a.checkPassword(r, name, password)
	if err != nil {
		return err
	}
	key, _ := a.hashesOf(secret)
	err = a.options.Store.Begin(r.Context(), key, name, hash, sessionLifetime)
	if errors.Is(err, users.ErrNotFound) {
		return wrongCredentials() // disabled, or changed, since the password was read
	}
	if err == nil {
		a.options.Logger.Info("signed in", "user", name, "remote", r.RemoteAddr)
	}
	return err
}

func wrongCredentials() error {
	return httpserver.NewProblem(httpserver.WrongCredentials, "the name or the password is wrong")
}

// unknownHash is verified for names without a password, so that the time does not tell whether a name is a user's.
var unknownHash = sync.OnceValue(func() string { return users.HashPassword(rand.Text()) })

// checkPassword returns the hash that a password was verified against. The limits are checked once it is this request's turn, so that
// many requests at a time get no more guesses.
func (a *Authenticator) checkPassword(r *http.Request, name, password string) (string, error) {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-r.Context().Done():
		return "", r.Context().Err()
	}
	if err := errors.Join(a.names.check(name), a.failures.Check(r)); err != nil {
		return "", err
	}
	stored, err := "", users.ErrNotFound
	if users.CheckName(name) == nil { // what is no name may hold what the database refuses
		stored, err = a.options.Store.PasswordHash(r.Context(), name)
	}
	unknown := errors.Is(err, users.ErrNotFound)
	switch {
	case unknown:
		stored = unknownHash()
	case err != nil:
		return "", err
	}
	if len(password) > users.MaxPasswordBytes {
		password = "" // no user has one so long, and its hash would only cost time
	}
	same, err := users.VerifyPassword(stored, password)
	switch {
	case err != nil:
		return "", err
	case same && !unknown:
		return stored, nil
	}
	a.names.add(name)
	if err := a.failures.Add(r, "password"); err != nil {
		return "", err
	}
	return "", wrongCredentials()
}

// SignOut ends the session of a request, here at once and on other consoles within seconds.
func (a *Authenticator) SignOut(w http.ResponseWriter, r *http.Request) (State, error) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		user, token := a.hashesOf(cookie.Value)
		_, inMemory := a.memory.ends(token)
		a.memory.end(token)
		if a.options.Store != nil && !inMemory {
			if err := a.options.Store.End(r.Context(), user, token); err != nil {
				return State{}, err // the session goes on, so the browser keeps its cookie to try again
			}
		}
		a.sessions.forget(user)
	}
	http.SetCookie(w, a.cookie(r, "", -1))
	return a.state(r.Context(), false), nil
}

func (a *Authenticator) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: a.options.CookiePath, MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
