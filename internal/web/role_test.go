package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/auth"
	"heartbeat/internal/users"
	"heartbeat/internal/web"
)

// people is an auth.Store in which each user has the role that the name says. A session's user is the one of its secret's hash.
type people struct {
	auth.Store
	sessions map[users.SessionHash]string
	audited  *[]string
}

const hashOfPassword = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" // of "password"

func (p people) Any(context.Context) (bool, error) { return true, nil }

func (p people) User(_ context.Context, name string) (users.User, error) {
	role, err := users.ParseRole(name)
	if err != nil {
		return users.User{}, users.ErrNotFound
	}
	return users.User{Name: name, Role: role}, nil
}

func (p people) PasswordHash(context.Context, string) (string, error) { return hashOfPassword, nil }

func (p people) Begin(_ context.Context, session users.SessionHash, name, _ string, _ time.Duration) error {
	p.sessions[session] = name
	return nil
}

func (p people) BeginToken(_ context.Context, session users.SessionHash, _ time.Duration) error {
	p.sessions[session] = ""
	return nil
}

func (p people) Session(_ context.Context, hashes ...users.SessionHash) (users.Session, error) {
	for _, hash := range hashes {
		if name, known := p.sessions[hash]; known {
			return users.Session{Hash: hash, User: name, Role: users.Role(name), Ends: time.Now().Add(time.Hour)}, nil
		}
	}
	return users.Session{}, users.ErrNotFound
}

// End leaves the session open, so that signing out is one request among those of the matrix.
func (p people) End(context.Context, ...users.SessionHash) error { return nil }

func (p people) AuditRead(_ context.Context, actor users.Actor, subject, route string) error {
	*p.audited = append(*p.audited, fmt.Sprintf("%s %s %s %s", actor.Name, actor.Method, subject, route))
	return nil
}

// table holds what each route asks for. A new route must be added by hand, by somebody who thinks about it.
var table = map[string]users.Role{
	"GET /healthz": users.Anyone, "GET /readyz": users.Anyone, "GET /api/v1/openapi.json": users.Anyone,
	"GET /api/v1/session": users.Anyone, "POST /api/v1/session": users.Anyone, "DELETE /api/v1/session": users.Anyone,
	"GET /metrics": users.Viewer, "GET /api/v1/me": users.Viewer, "GET /api/v1/stream": users.Viewer, "GET /api/v1/totals": users.Viewer,
	"GET /api/v1/fleet": users.Viewer, "GET /api/v1/trends": users.Viewer, "GET /api/v1/alerts": users.Viewer,
	"GET /api/v1/customers/{id}": users.Viewer, "GET /api/v1/customers/{id}/readings": users.Viewer, "GET /api/v1/customers/{id}/minutes": users.Viewer,
	"GET /api/v1/customers/{id}/export": users.Viewer,
	"GET /api/v1/pipeline":              users.Viewer, "GET /api/v1/tables": users.Viewer, "GET /api/v1/incidents": users.Viewer,
	"GET /api/v1/dead-letters": users.Viewer, "GET /api/v1/dead-letters/{id}": users.Viewer, "POST /api/v1/dead-letters/{id}/replay": users.Operator,
	"GET /api/v1/deliveries": users.Viewer, "POST /api/v1/deliveries/{id}/retry": users.Operator, "POST /api/v1/destinations/{name}/retry": users.Operator,
	"GET /api/v1/alarms": users.Viewer, "GET /api/v1/alarms/{id}": users.Viewer, "POST /api/v1/alarms/{id}": users.Operator,
	"POST /api/v1/alarms/{id}/ack": users.Operator, "POST /api/v1/alarms/{id}/snooze": users.Operator, "POST /api/v1/alarms/{id}/close": users.Operator,
	"POST /api/v1/alarms/{id}/assign": users.Operator, "POST /api/v1/alarms/{id}/comment": users.Operator,
	"GET /api/v1/limits": users.Viewer, "GET /api/v1/limits/suggested": users.Viewer, "POST /api/v1/limits": users.Operator, "POST /api/v1/limits/{id}/end": users.Operator,
	"GET /api/v1/limits/trial": users.Viewer, "POST /api/v1/limits/trial": users.Viewer, "POST /api/v1/limits/trial/{id}/cancel": users.Viewer,
}

// way is a way of signing in: it returns a server on which it gives a role, and what it adds to a request.
type way func(t *testing.T, role users.Role) (*web.Server, func(*http.Request))

const trustedProxy = "10.1.2.3:4711"

func ways() map[string]way {
	plain := func(*http.Request) {}
	return map[string]way{
		"bearer token": func(t *testing.T, role users.Role) (*web.Server, func(*http.Request)) {
			server := newServer(t, func(o *web.Options) { o.Auth = auth.Options{Token: token, TokenRole: role} })
			return server, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
		},
		"session of the token": func(t *testing.T, role users.Role) (*web.Server, func(*http.Request)) {
			server := newServer(t, func(o *web.Options) { o.Auth = auth.Options{Token: token, TokenRole: role, Store: newPeople()} })
			return server, withCookie(t, server, `{"token":"`+token+`"}`)
		},
		"session of a user": func(t *testing.T, role users.Role) (*web.Server, func(*http.Request)) {
			server := newServer(t, func(o *web.Options) { o.Auth = auth.Options{Store: newPeople()} })
			return server, withCookie(t, server, `{"name":"`+string(role)+`","password":"password"}`)
		},
		"proxy": func(t *testing.T, role users.Role) (*web.Server, func(*http.Request)) {
			server := newServer(t, behindProxy)
			return server, func(r *http.Request) {
				r.RemoteAddr = trustedProxy
				r.Header.Set("X-Forwarded-User", string(role))
			}
		},
		"local": func(t *testing.T, role users.Role) (*web.Server, func(*http.Request)) {
			if role != users.Operator {
				return nil, plain // the local operator has no other role
			}
			return newServer(t, nil), plain
		},
	}
}

func newPeople() people {
	return people{sessions: map[users.SessionHash]string{}, audited: new([]string)}
}

func behindProxy(o *web.Options) {
	o.Auth = auth.Options{Store: newPeople(), ProxyHeader: "X-Forwarded-User", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
}

func withCookie(t *testing.T, server *web.Server, body string) func(*http.Request) {
	t.Helper()
	w := post(server, "/api/v1/session", body)
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 1 {
		t.Fatalf("signing in got %d: %s", w.Code, w.Body)
	}
	cookie := w.Result().Cookies()[0]
	return func(r *http.Request) { r.AddCookie(cookie) }
}

// describedOperations lists the described operations as in the table.
func describedOperations(t *testing.T) (all []string) {
	t.Helper()
	for path, operations := range description(t)["paths"].(object) {
		for method := range operations.(object) {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// send sends a request that needs no more than a role. Its context has ended, so that the stream ends too.
func send(t *testing.T, server *web.Server, operation string, sign func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	ctx := t.Context()
	if strings.HasSuffix(path, "/stream") {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	r := httptest.NewRequestWithContext(ctx, method, strings.ReplaceAll(path, "{id}", "7"), strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	sign(r)
	return do(server, r)
}

func TestEveryRouteAsksForItsRoleHoweverPeopleSignIn(t *testing.T) {
	t.Parallel()
	all := describedOperations(t)
	if len(all) != len(table) {
		t.Errorf("the table has %d routes, openapi.json %d", len(table), len(all))
	}
	for name, way := range ways() {
		for _, role := range users.Roles() {
			t.Run(name+" as "+string(role), func(t *testing.T) {
				t.Parallel()
				server, sign := way(t, role)
				if server == nil {
					return
				}
				for _, operation := range all {
					least, known := table[operation]
					if !known {
						t.Errorf("%s has no role in the table", operation)
						continue
					}
					w := send(t, server, operation, sign)
					refused := w.Code == http.StatusForbidden && strings.Contains(w.Body.String(), `"role_required"`) || w.Code == http.StatusUnauthorized
					if refused == role.May(least) {
						t.Errorf("%s got %d %.200s, want it for the role %s: %t", operation, w.Code, w.Body, role, role.May(least))
					}
				}
			})
		}
	}
	t.Run("without signing in", func(t *testing.T) {
		t.Parallel()
		server := newServer(t, func(o *web.Options) { o.Auth = auth.Options{Store: newPeople()} })
		for _, operation := range all {
			w := send(t, server, operation, func(*http.Request) {})
			if (w.Code == http.StatusUnauthorized) != (table[operation] != users.Anyone) {
				t.Errorf("%s got %d without signing in", operation, w.Code)
			}
		}
	})
}

func TestLimitsOfManyTakeAnAdministrator(t *testing.T) {
	t.Parallel()
	for _, role := range users.Roles() {
		server, sign := ways()["proxy"](t, role)
		for body, least := range map[string]users.Role{
			`{"scope": "person", "customer_id": "CUST_00042", "high": 150, "reason": "x"}`: users.Operator,
			`{"scope": "cohort", "cohort": "ward", "high": 150, "reason": "x"}`:            users.Admin,
			`{"scope": "fleet", "high": 150, "reason": "x"}`:                               users.Admin,
		} {
			r := httptest.NewRequest(http.MethodPost, "/api/v1/limits", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			sign(r)
			if w := do(server, r); (w.Code == http.StatusForbidden) == role.May(least) {
				t.Errorf("%s sets %s: %d %s", role, body, w.Code, w.Body)
			}
		}
	}
}

func TestUserHeaderCountsFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	server := newServer(t, behindProxy)
	me := func(remote string, names ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/me", nil)
		r.RemoteAddr = remote
		for _, name := range names {
			r.Header.Add("X-Forwarded-User", name)
		}
		return do(server, r)
	}
	if w := me(trustedProxy, "Admin"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"name":"admin","role":"admin","method":"proxy","session_ends_at":null}`) {
		t.Errorf("a trusted proxy's user got %d %s", w.Code, w.Body)
	}
	for _, remote := range []string{"192.0.2.1:4711", "127.0.0.1:4711", "[::1]:4711", "11.0.0.1:4711", "[fe80::1%10.0.0.1]:80", "@", ""} {
		checkProblem(t, me(remote, "admin"), http.StatusUnauthorized, "untrusted_proxy")
	}
	checkProblem(t, me(trustedProxy), http.StatusUnauthorized, "unauthorized") // no header: not the local operator either
	checkProblem(t, me(trustedProxy, "carl"), http.StatusForbidden, "user_not_admitted")
	checkProblem(t, me(trustedProxy, "viewer", "admin"), http.StatusForbidden, "user_not_admitted")
	checkProblem(t, me(trustedProxy, ""), http.StatusForbidden, "user_not_admitted")
	checkProblem(t, me(trustedProxy, "token"), http.StatusForbidden, "user_not_admitted")
	if w := me("[::ffff:10.9.9.9]:80", "viewer"); w.Code != http.StatusOK {
		t.Errorf("a trusted IPv4 address written as IPv6 got %d %s", w.Code, w.Body)
	}
	server = newServer(t, func(o *web.Options) { behindProxy(o); o.Auth.ProxyRole = users.Viewer })
	if w := me(trustedProxy, "carl"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"role":"viewer"`) {
		t.Errorf("with a default role an unknown name got %d %s", w.Code, w.Body)
	}
}

func TestReadsOfOnePersonAreAuditedWhereAsked(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		store := newPeople()
		server := newServer(t, func(o *web.Options) { behindProxy(o); o.Auth.Store, o.Auth.AuditReads = store, on })
		for _, target := range []string{
			"/api/v1/customers/CUST_00042", "/api/v1/customers/CUST_00042/readings", "/api/v1/customers/CUST_00042/export", "/api/v1/customers/CUST_00042/minutes",
			"/api/v1/alerts?customer=CUST_00042", "/api/v1/alerts", "/api/v1/fleet", "/api/v1/alarms?subject=CUST_00042", "/api/v1/alarms", "/api/v1/alarms/" + heldID,
		} {
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.RemoteAddr = trustedProxy
			r.Header.Set("X-Forwarded-User", "viewer")
			if w := do(server, r); w.Code != http.StatusOK {
				t.Errorf("%s got %d %s", target, w.Code, w.Body)
			}
		}
		var want []string
		if on {
			for _, route := range []string{"/customers/{id}", "/customers/{id}/readings", "/customers/{id}/export", "/customers/{id}/minutes", "/alerts", "/alarms", "/alarms/{id}"} {
				want = append(want, "viewer proxy CUST_00042 GET /api/v1"+route)
			}
		}
		if !slices.Equal(*store.audited, want) {
			t.Errorf("audited with --audit-reads=%t:\n%s\nwant\n%s", on, strings.Join(*store.audited, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestWrongPasswordsAreLimitedByNameAndByAddress(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]func(try int) (address, user string){
		"one name from many addresses": func(try int) (string, string) { return fmt.Sprintf("192.0.2.%d:1", try), "anna" },
		"many names from one address":  func(try int) (string, string) { return "192.0.2.1:1", fmt.Sprintf("anna%d", try) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, func(o *web.Options) { o.Auth = auth.Options{Store: newPeople()} })
			limited := 0
			for try := range 40 {
				address, user := request(try)
				r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(`{"name":"`+user+`","password":"wrong"}`))
				r.Header.Set("Content-Type", "application/json")
				w := from(server, address, r)
				if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "" {
					limited++
					continue
				}
				checkProblem(t, w, http.StatusForbidden, "wrong_credentials")
			}
			if limited < 25 {
				t.Errorf("of 40 wrong passwords %d were limited", limited)
			}
		})
	}
}
