package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

// identity is an actor with the end of the session, if there is one.
type identity struct {
	actor users.Actor
	ends  time.Time
}

type identityKey struct{}

// identify returns who sent a request, or the problem with its credentials.
func (a *Authenticator) identify(r *http.Request) (identity, error) {
	if token, ok := bearer(r); ok && a.options.Token != "" {
		if a.rightToken(token) {
			return identity{actor: a.tokenActor()}, nil
		}
		if err := a.failures.Add(r, "bearer token"); err != nil {
			return identity{}, err
		}
		return identity{}, unauthorized()
	}
	if who, named, err := a.fromProxy(r); named {
		return who, err
	}
	who, err := a.fromCookie(r)
	if err == nil || !isUnauthorized(err) {
		return who, err
	}
	if local, ok := a.local(r.Context()); ok {
		return local, nil
	}
	return identity{}, err
}

func unauthorized() error {
	return httpserver.NewProblem(httpserver.Unauthorized, "sign in on the console, or send the token as Authorization: Bearer …")
}

func isProblem(err error) bool {
	_, ok := errors.AsType[*httpserver.Problem](err)
	return ok
}

func isUnauthorized(err error) bool {
	problem, ok := errors.AsType[*httpserver.Problem](err)
	return ok && problem.Status == http.StatusUnauthorized
}

// rightToken compares in constant time; hashing first hides the length too.
func (a *Authenticator) rightToken(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return a.options.Token != "" && subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1
}

func (a *Authenticator) tokenActor() users.Actor {
	return users.Actor{Name: users.TokenName, Role: a.options.TokenRole, Method: users.Token}
}

// bearer returns the token of an Authorization header. The name of the scheme may be in any case.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimLeft(token, " "), strings.EqualFold(scheme, "bearer")
}

// fromProxy returns whom a trusted proxy names. The header of any other address is refused, so that a forged one is noticed.
func (a *Authenticator) fromProxy(r *http.Request) (who identity, named bool, err error) {
	if a.options.ProxyHeader == "" {
		return who, false, nil
	}
	values := r.Header.Values(a.options.ProxyHeader)
	if len(values) == 0 {
		return who, false, nil
	}
	if !a.trusted(r.RemoteAddr) {
		if a.forged.Allow() {
			a.options.Logger.Warn("user header refused: not from a trusted proxy", "header", a.options.ProxyHeader, "remote", r.RemoteAddr)
		}
		return who, true, httpserver.NewProblem(httpserver.UntrustedProxy,
			"the header %s counts from trusted proxies only, and this address is none of them: see --trusted-proxies", a.options.ProxyHeader)
	}
	name := users.CleanName(values[0])
	if len(values) > 1 || users.CheckName(name) != nil {
		return who, true, notAdmitted("the proxy's header %s does not name one user", a.options.ProxyHeader)
	}
	role, err := a.proxyRole(r.Context(), name)
	return identity{actor: users.Actor{Name: name, Role: role, Method: users.Proxy}}, true, err
}

func notAdmitted(format string, arguments ...any) error {
	return httpserver.NewProblem(httpserver.UserNotAdmitted, format, arguments...)
}

// proxyRole returns the role of a name: the user's, or that of names which are no users.
func (a *Authenticator) proxyRole(ctx context.Context, name string) (users.Role, error) {
	err := users.ErrNotFound
	var user users.User
	if a.options.Store != nil {
		user, err = a.people.get(ctx, name, func(ctx context.Context) (users.User, error) { return a.options.Store.User(ctx, name) })
	}
	switch {
	case err == nil && user.DisabledAt == nil:
		return user.Role, nil
	case err == nil:
		return "", notAdmitted("the user %s is disabled: an administrator lets the user in again with `heartbeat user enable %s`", name, name)
	case !errors.Is(err, users.ErrNotFound):
		return "", err
	case a.options.ProxyRole == "":
		return "", notAdmitted("%s is no user of this console: an administrator adds the user with `heartbeat user add %s --no-password`", name, name)
	}
	return a.options.ProxyRole, nil
}

func (a *Authenticator) trusted(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(a.options.TrustedProxies, func(network netip.Prefix) bool { return network.Contains(address) })
}

// hashesOf returns what is stored of a session's secret: that of a user's session, and that of a session which was begun with
// this token. A session of another token is thereby none.
func (a *Authenticator) hashesOf(secret string) (user, token users.SessionHash) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(a.token[:])
	return sha256.Sum256([]byte(secret)), users.SessionHash(mac.Sum(nil))
}

func (a *Authenticator) fromCookie(r *http.Request) (identity, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return identity{}, unauthorized()
	}
	userHash, tokenHash := a.hashesOf(cookie.Value)
	session, err := a.session(r.Context(), userHash, tokenHash)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return identity{}, httpserver.NewProblem(httpserver.SessionExpired, "the session has ended: sign in again")
	case err != nil:
		return identity{}, err
	case session.User == "":
		return identity{actor: a.tokenActor(), ends: session.Ends}, nil
	}
	return identity{actor: users.Actor{Name: session.User, Role: session.Role, Method: users.Password}, ends: session.Ends}, nil
}

func (a *Authenticator) session(ctx context.Context, userHash, tokenHash users.SessionHash) (users.Session, error) {
	if ends, known := a.memory.ends(tokenHash); known {
		return users.Session{Hash: tokenHash, Ends: ends}, nil
	}
	if a.options.Store == nil {
		return users.Session{}, users.ErrNotFound
	}
	session, err := a.sessions.get(ctx, userHash, func(ctx context.Context) (users.Session, error) {
		return a.options.Store.Session(ctx, userHash, tokenHash)
	})
	if err == nil && (!time.Now().Before(session.Ends) || session.User == "" && a.options.Token == "") {
		err = users.ErrNotFound
	}
	return session, err
}

// local returns the local operator, where there is one. Until the Store has said whether there are users, it is a viewer.
func (a *Authenticator) local(ctx context.Context) (identity, bool) {
	if a.options.Token != "" || a.options.ProxyHeader != "" || a.options.Local == LocalNever {
		return identity{}, false
	}
	actor := users.Actor{Name: users.LocalName, Role: users.Operator, Method: users.Local}
	if a.options.Local == LocalWithoutUsers {
		exist, err := a.usersExist(ctx)
		if exist {
			return identity{}, false
		}
		if err != nil {
			actor.Role = users.Viewer
		}
	}
	return identity{actor: actor}, true
}

func (a *Authenticator) usersExist(ctx context.Context) (bool, error) {
	if a.options.Store == nil {
		return false, nil
	}
	return a.anyone.get(ctx, struct{}{}, a.options.Store.Any)
}
