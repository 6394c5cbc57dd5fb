package web_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"heartbeat/internal/auth"
	"heartbeat/internal/web"
)

const token = "a long enough token"

func withToken(o *web.Options) { o.Auth.Token = token }

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for _, target := range []string{"/", "/api/v1/fleet", "/nothing", "/healthz"} {
		header := get(server, target).Header()
		policy := header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy is %q", target, policy)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: headers are %v", target, header)
		}
	}
}

func TestWithoutTokenOnlyLocalNamesAreAnswered(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "127.8.9.1": 200,
		"rebound.example.org": 421, "localhost.example.org:8080": 421, "10.0.0.1:8080": 421, "": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/fleet", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if server.ServeHTTP(w, r); w.Code != want {
			t.Errorf("Host %q got %d, want %d", host, w.Code, want)
		}
	}
}

func TestWritesFromAnotherOriginAreRefused(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for name, change := range map[string]func(http.Header){
		"other origin": func(h http.Header) { h.Set("Origin", "https://evil.example") },
		"cross-site":   func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"other port":   func(h http.Header) { h.Set("Origin", "http://localhost:9999") },
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/dead-letters/7/replay", nil)
		change(r.Header)
		t.Log(name)
		checkProblem(t, do(server, r), http.StatusForbidden, "cross_origin")
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v1/dead-letters/7/replay", nil)
	r.Header.Set("Origin", "http://localhost:8080")
	if w := do(server, r); w.Code != http.StatusOK {
		t.Errorf("the console's own write got %d: %s", w.Code, w.Body)
	}
}

func TestTokenGuardsEverythingButHealthAndPages(t *testing.T) {
	t.Parallel()
	server := newServer(t, withToken)
	for _, target := range []string{"/", "/healthz", "/api/v1/session", "/api/v1/openapi.json"} {
		if w := get(server, target); w.Code != http.StatusOK {
			t.Errorf("%s without token got %d", target, w.Code)
		}
	}
	for _, target := range []string{
		"/metrics", "/api/v1/stream", "/api/v1/totals", "/api/v1/fleet", "/api/v1/trends", "/api/v1/alerts",
		"/api/v1/customers/CUST_00042", "/api/v1/customers/CUST_00042/readings", "/api/v1/customers/CUST_00042/minutes",
		"/api/v1/pipeline", "/api/v1/tables", "/api/v1/incidents", "/api/v1/dead-letters", "/api/v1/dead-letters/7",
	} {
		checkProblem(t, get(server, target), http.StatusUnauthorized, "unauthorized")
	}
	r := httptest.NewRequest(http.MethodGet, "/api/v1/fleet", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	if w := do(server, r); w.Code != http.StatusOK {
		t.Errorf("with the token got %d: %s", w.Code, w.Body)
	}
	r.Header.Set("Authorization", "Bearer another token")
	checkProblem(t, do(server, r), http.StatusUnauthorized, "unauthorized")
}

func TestSignInLastsUntilSignOut(t *testing.T) {
	t.Parallel()
	server := newServer(t, withToken)
	w := do(server, signIn(token))
	if w.Code != http.StatusOK || len(w.Result().Cookies()) != 1 {
		t.Fatalf("signing in got %d and %v", w.Code, w.Result().Cookies())
	}
	cookie := w.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Value == token {
		t.Errorf("the cookie is %v", cookie)
	}
	fleet := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/fleet", nil)
		r.AddCookie(cookie)
		return do(server, r)
	}
	if w := fleet(); w.Code != http.StatusOK {
		t.Errorf("signed in, the fleet got %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodDelete, "/api/v1/session", nil)
	r.AddCookie(cookie)
	do(server, r)
	checkProblem(t, fleet(), http.StatusUnauthorized, "session_expired")
}

// from sends a request from a client's address.
func from(server http.Handler, address string, r *http.Request) *httptest.ResponseRecorder {
	r.RemoteAddr = address
	return do(server, r)
}

func signIn(text string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(`{"token":"`+text+`"}`))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func withBearer(scheme, text string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/fleet", nil)
	r.Header.Set("Authorization", scheme+" "+text)
	return r
}

func TestWrongTokensAreLimitedByAddressAndTheRightOnePasses(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		request func(text string) *http.Request
		status  int
		code    string
	}{
		"sign-in": {signIn, http.StatusForbidden, "wrong_token"},
		"bearer":  {func(text string) *http.Request { return withBearer("Bearer", text) }, http.StatusUnauthorized, "unauthorized"},
		"session state": {func(text string) *http.Request {
			r := withBearer("Bearer", text)
			r.URL.Path = "/api/v1/session"
			return r
		}, http.StatusOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			server := newServer(t, func(o *web.Options) {
				o.Auth.Token, o.Logger = token, slog.New(slog.NewTextHandler(&log, nil))
			})
			limited := 0
			for try := range 100 {
				w := from(server, fmt.Sprintf("192.0.2.7:%d", 1000+try), way.request("a wrong token"))
				switch {
				case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "":
					limited++
				case w.Code != way.status:
					t.Fatalf("a wrong token got %d: %s", w.Code, w.Body)
				case way.code != "":
					checkProblem(t, w, way.status, way.code)
				}
			}
			if limited < 85 {
				t.Errorf("of 100 wrong tokens in a row %d were limited, want nearly all", limited)
			}
			if w := from(server, "198.51.100.1:1000", way.request("a wrong token")); w.Code != way.status {
				t.Errorf("the first wrong token of another address got %d, want %d", w.Code, way.status)
			}
			for _, address := range []string{"192.0.2.7:1", "198.51.100.1:1"} {
				for _, r := range []*http.Request{withBearer("Bearer", token), signIn(token)} {
					if w := from(server, address, r); w.Code != http.StatusOK {
						t.Errorf("the right token from %s got %d: %s", address, w.Code, w.Body)
					}
				}
			}
			if text := log.String(); strings.Contains(text, "a wrong token") || !strings.Contains(text, "remote=192.0.2.7") || strings.Count(text, "\n") > 3 {
				t.Errorf("the log is\n%s\nwant a line for each address, without the token", text)
			}
		})
	}
}

func TestSchemeOfTheTokenIsInAnyCase(t *testing.T) {
	t.Parallel()
	server := newServer(t, withToken)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "Bearer "} {
		if w := do(server, withBearer(scheme, token)); w.Code != http.StatusOK {
			t.Errorf("scheme %q got %d", scheme, w.Code)
		}
	}
}

func TestSignInTakesOnlyASmallJSONBody(t *testing.T) {
	t.Parallel()
	server := newServer(t, withToken)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader("token="+token))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	checkProblem(t, do(server, r), http.StatusUnsupportedMediaType, "unsupported_media_type")
	for _, body := range []string{``, `null`, `{}`, `{"token":1}`, `{"token":"x","user":"y"}`, `{"token":"x"`, `[]`} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		checkProblem(t, do(server, r), http.StatusBadRequest, "bad_request")
	}
	checkProblem(t, do(server, signIn(strings.Repeat("x", 10_000))), http.StatusRequestEntityTooLarge, "too_large")
}

func TestShortTokenIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	_, err := web.New(web.Options{Fleet: hub(), Store: stored{}, Readings: stored{}, AlarmStore: alarms{}, LimitStore: alarms{}, Trials: trials{}, Deliveries: deliveries{}, Auth: auth.Options{Token: "secret"}})
	if err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("New with a token of six characters returned %v", err)
	}
}
