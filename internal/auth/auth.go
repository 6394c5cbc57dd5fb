package auth

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"heartbeat/internal/backoff"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

// Store keeps users, sessions and audited reads. A user or session that is not there is users.ErrNotFound.
type Store interface {
	Any(ctx context.Context) (bool, error)
	User(ctx context.Context, name string) (users.User, error)
	PasswordHash(ctx context.Context, name string) (string, error)
	Begin(ctx context.Context, session users.SessionHash, name, passwordHash string, lifetime time.Duration) error
	BeginToken(ctx context.Context, session users.SessionHash, lifetime time.Duration) error
	Session(ctx context.Context, hashes ...users.SessionHash) (users.Session, error)
	End(ctx context.Context, hashes ...users.SessionHash) error
	AuditRead(ctx context.Context, actor users.Actor, subject, route string) error
}

// LocalRule says when a request without credentials is the local operator's. It is for listeners that only this machine reaches.
type LocalRule int

// The rules. A console with a token or a proxy's header has no local operator.
const (
	LocalWithoutUsers LocalRule = iota // as long as there is no user
	LocalAlways
	LocalNever
)

// Options set up an Authenticator.
type Options struct {
	Store     Store      // nil: there are no users, and sessions end with this process
	Token     string     // of machines; empty: none
	TokenRole users.Role // Viewer if empty
	Local     LocalRule

	ProxyHeader    string         // names the user; empty: no proxy signs people in
	TrustedProxies []netip.Prefix // the header counts from these addresses only
	ProxyRole      users.Role     // of a name that is no user; empty: refused

	AuditReads bool
	CookiePath string
	Logger     *slog.Logger
}

// Authenticator decides who sent a request.
type Authenticator struct {
	options  Options
	token    [sha256.Size]byte
	failures *httpserver.Failures
	names    *nameLimit
	memory   *memorySessions // of the token, where the Store cannot keep them
	sessions *cache[users.SessionHash, users.Session]
	people   *cache[string, users.User]
	anyone   *cache[struct{}, bool]
	hashing  chan struct{} // one element for each password being hashed
	forged   *rate.Limiter // of log lines about untrusted proxies
}

// maxHashing bounds the passwords that are hashed at a time: each takes 19 MiB and a processor.
const maxHashing = 2

// New returns an Authenticator.
func New(options Options) *Authenticator {
	if options.TokenRole == "" {
		options.TokenRole = users.Viewer
	}
	return &Authenticator{
		options: options, token: sha256.Sum256([]byte(options.Token)), failures: httpserver.NewFailures(options.Logger),
		names: newNameLimit(), memory: newMemorySessions(), sessions: newCache[users.SessionHash, users.Session](),
		people: newCache[string, users.User](), anyone: newCache[struct{}, bool](), hashing: make(chan struct{}, maxHashing),
		forged: rate.NewLimiter(rate.Every(10*time.Second), 3),
	}
}

// Access is what a route asks for.
type Access struct {
	Role    users.Role
	Route   string                     // for the audit
	Subject func(*http.Request) string // names the person whose data the route reads; nil or an empty name: no single person's
	Long    bool                       // the response goes on for long: it ends when the actor may no longer have it
}

// Wrap lets those requests through to a handler whose actor may have them. The actor is in their context.
func (a *Authenticator) Wrap(access Access, inner httpserver.Handler) httpserver.Handler {
	if access.Role == users.Anyone {
		return inner
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := a.identify(r)
		if err == nil {
			err = requireRole(who.actor, access.Role)
		}
		if err != nil {
			return challenge(w, err)
		}
		ctx := users.WithActor(r.Context(), who.actor)
		ctx = context.WithValue(ctx, auditKey{}, audit{a, access.Route})
		ctx = context.WithValue(ctx, identityKey{}, who)
		if access.Long {
			var stop context.CancelFunc
			ctx, stop = a.whileAllowed(ctx, r, who.actor, access.Role)
			defer stop()
		}
		r = r.WithContext(ctx)
		if access.Subject != nil {
			if err := AuditRead(r, access.Subject(r)); err != nil {
				return err
			}
		}
		return inner(w, r)
	}
}

// RequireRole refuses a request whose actor has a lesser role. It is for handlers whose least role depends on the body.
func RequireRole(r *http.Request, least users.Role) error {
	return requireRole(users.ActorOf(r.Context()), least)
}

func requireRole(actor users.Actor, least users.Role) error {
	if actor.Role.May(least) {
		return nil
	}
	return httpserver.NewProblem(httpserver.RoleRequired, "this takes the role %s, and %s is %s: an administrator changes it with "+
		"`heartbeat user enable NAME --role %s`, for the token with --token-role", least, actor.Name, actor.Role, least)
}

// challenge adds the header that RFC 9110 asks for with 401.
func challenge(w http.ResponseWriter, err error) error {
	if isUnauthorized(err) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="heartbeat"`)
	}
	return err
}

// whileAllowed returns a context that ends when the request's actor has changed or may no longer do this.
func (a *Authenticator) whileAllowed(ctx context.Context, r *http.Request, actor users.Actor, least users.Role) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go backoff.Every(ctx, cacheTime, func() {
		now, err := a.identify(r.WithContext(ctx))
		refused := isProblem(err)
		if refused || err == nil && (now.actor.Name != actor.Name || !now.actor.Role.May(least)) {
			cancel()
		}
	})
	return ctx, cancel
}

type auditKey struct{}

type audit struct {
	by    *Authenticator
	route string
}

// AuditRead records that the request's actor reads a person's data, where that was asked for. A read that cannot be recorded is refused.
func AuditRead(r *http.Request, subject string) error {
	audit, ok := r.Context().Value(auditKey{}).(audit)
	if !ok || subject == "" || !audit.by.options.AuditReads || audit.by.options.Store == nil {
		return nil
	}
	return audit.by.options.Store.AuditRead(r.Context(), users.ActorOf(r.Context()), subject, audit.route)
}
