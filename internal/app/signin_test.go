package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/app"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/userstore"
	"heartbeat/internal/users"
)

// console starts a console on a database. It ends when stop is called, or with the test.
func console(t *testing.T, database string, options app.ConsoleOptions) (url string, stop func()) {
	t.Helper()
	listener, err := app.ListenConsole(t.Context(), "127.0.0.1:0", options, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- app.Serve(ctx, app.ServeOptions{
			Console: options, Listener: listener, Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}, Topic: "heartbeat-events"},
			Database: postgres.Options{URL: database}, Customers: 10, Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		})
	}()
	stop = func() {
		cancel()
		if done == nil {
			return
		}
		if err := <-done; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
		done = nil
	}
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop
}

// ask sends a request with a session's cookie, if not nil.
func ask(t *testing.T, method, url, body string, cookie *http.Cookie) (status int, text string, cookies []*http.Cookie) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), response.Cookies()
}

func signIn(t *testing.T, url, credentials string) *http.Cookie {
	t.Helper()
	status, text, cookies := ask(t, http.MethodPost, url+"/api/v1/session", credentials, nil)
	if status != http.StatusOK || len(cookies) != 1 {
		t.Fatalf("signing in got %d %s", status, text)
	}
	return cookies[0]
}

func wantMe(t *testing.T, url string, cookie *http.Cookie, wantStatus int, want string) {
	t.Helper()
	if status, text, _ := ask(t, http.MethodGet, url+"/api/v1/me", "", cookie); status != wantStatus || !strings.Contains(text, want) {
		t.Errorf("%s says %d %s, want %d and %s", url, status, text, wantStatus, want)
	}
}

const annasPassword = "correct horse battery"

func TestSessionHoldsForEveryConsoleAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := userstore.New(pool)
	first, stopFirst := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	wantMe(t, first, nil, http.StatusOK, `"local","role":"operator"`)
	if err := store.Add(t.Context(), "anna", users.Operator, users.HashPassword(annasPassword)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	pgtest.Await(t, "this machine to have to sign in", func() bool {
		status, _, _ := ask(t, http.MethodGet, first+"/api/v1/me", "", nil)
		return status == http.StatusUnauthorized
	})
	wantWithin(t, began, "the first user")

	second, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	for _, wrong := range []string{`{"name":"anna","password":"wrong horse battery"}`, `{"name":"carl","password":"` + annasPassword + `"}`} {
		if status, text, _ := ask(t, http.MethodPost, first+"/api/v1/session", wrong, nil); status != http.StatusForbidden || !strings.Contains(text, "wrong_credentials") {
			t.Errorf("%s got %d %s", wrong, status, text)
		}
	}
	cookie := signIn(t, first, `{"name":"Anna","password":"`+annasPassword+`"}`)
	wantMe(t, first, cookie, http.StatusOK, `"anna","role":"operator","method":"password"`)
	wantMe(t, second, cookie, http.StatusOK, `"anna"`)
	stopFirst()
	restarted, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	wantMe(t, restarted, cookie, http.StatusOK, `"anna"`)
	if n := pgtest.Value[int](t, pool, `SELECT count(*) FROM console_sessions WHERE encode(session_hash, 'escape') LIKE '%' || $1 || '%'`, cookie.Value); n != 0 {
		t.Error("the cookie's value is stored")
	}

	if err := store.Enable(t.Context(), "anna", users.Viewer); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	for _, url := range []string{restarted, second} {
		pgtest.Await(t, "the new role", func() bool {
			_, text, _ := ask(t, http.MethodGet, url+"/api/v1/me", "", cookie)
			return strings.Contains(text, `"role":"viewer"`)
		})
	}
	wantWithin(t, began, "a new role")
	if status, text, _ := ask(t, http.MethodPost, second+"/api/v1/dead-letters/7/replay", "{}", cookie); status != http.StatusForbidden || !strings.Contains(text, "role_required") {
		t.Errorf("a viewer replays: %d %s", status, text)
	}

	if err := store.Disable(t.Context(), "anna"); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	for _, url := range []string{restarted, second} {
		pgtest.Await(t, "the session to end", func() bool {
			status, _, _ := ask(t, http.MethodGet, url+"/api/v1/me", "", cookie)
			return status != http.StatusOK
		})
	}
	wantWithin(t, began, "disabling the user")
}

// The stream is one response that goes on: it must end with the session too.
func TestStreamEndsWithTheSession(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := userstore.New(pool)
	if err := store.Add(t.Context(), "anna", users.Viewer, users.HashPassword(annasPassword)); err != nil {
		t.Fatal(err)
	}
	url, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	cookie := signIn(t, url, `{"name":"anna","password":"`+annasPassword+`"}`)
	ended := make(chan time.Time, 1)
	go func() {
		ask(t, http.MethodGet, url+"/api/v1/stream", "", cookie)
		ended <- time.Now()
	}()
	pgtest.Await(t, "the stream to be open", func() bool {
		_, text, _ := ask(t, http.MethodGet, url+"/metrics", "", cookie)
		return strings.Contains(text, "viewers 1")
	})
	began := time.Now()
	if err := store.SetPassword(t.Context(), "anna", users.HashPassword("another horse battery")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		wantWithin(t, began, "changing the password")
	case <-time.After(30 * time.Second):
		t.Error("the stream goes on half a minute after the session ended")
	}
}

func TestSessionOfTheTokenEndsWithTheToken(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	first, stop := console(t, pgtest.URL(pool), app.ConsoleOptions{Token: "a long enough token"})
	cookie := signIn(t, first, `{"token":"a long enough token"}`)
	stop()
	same, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{Token: "a long enough token", TokenRole: users.Operator})
	wantMe(t, same, cookie, http.StatusOK, `"token","role":"operator","method":"token"`)
	other, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{Token: "another long token"})
	wantMe(t, other, cookie, http.StatusUnauthorized, "session_expired")
	none, _ := console(t, pgtest.URL(pool), app.ConsoleOptions{})
	wantMe(t, none, cookie, http.StatusOK, `"local"`)
}

func wantWithin(t *testing.T, began time.Time, what string) {
	t.Helper()
	const promised = 5 * time.Second
	if took := time.Since(began); took > promised {
		t.Errorf("%s took effect after %s, want it within %s", what, took, promised)
	}
}

func TestAddressOfOtherMachinesNeedsSomebodyWhoCanSignIn(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	database := &postgres.Options{URL: pgtest.URL(pool)}
	if _, err := app.ListenConsole(t.Context(), "0.0.0.0:0", app.ConsoleOptions{}, database); err == nil || !strings.Contains(err.Error(), "heartbeat user add") {
		t.Errorf("without users: %v, want it refused with advice", err)
	}
	if _, err := app.ListenConsole(t.Context(), "0.0.0.0:0", app.ConsoleOptions{}, &postgres.Options{URL: "postgres://x@127.0.0.1:1/x"}); err == nil {
		t.Error("without a database that says whether there are users the address is taken")
	}
	if err := userstore.New(pool).Add(t.Context(), "anna", users.Viewer, ""); err != nil {
		t.Fatal(err)
	}
	listener, err := app.ListenConsole(t.Context(), "0.0.0.0:0", app.ConsoleOptions{}, database)
	if err != nil {
		t.Fatalf("with a user: %v", err)
	}
	listener.Close()
}

func TestOptionsOfAProxyThatContradictAreRefused(t *testing.T) {
	t.Parallel()
	network := []string{"10.0.0.0/8", "::1"}
	for name, test := range map[string]struct {
		options app.ConsoleOptions
		want    string // empty: accepted
	}{
		"both":              {app.ConsoleOptions{ProxyUserHeader: "X-Forwarded-User", TrustedProxies: network}, ""},
		"none":              {app.ConsoleOptions{}, ""},
		"header alone":      {app.ConsoleOptions{ProxyUserHeader: "X-Forwarded-User"}, "want both"},
		"networks alone":    {app.ConsoleOptions{TrustedProxies: network}, "want both"},
		"no network":        {app.ConsoleOptions{ProxyUserHeader: "X-User", TrustedProxies: []string{"proxy.example"}}, "--trusted-proxies"},
		"no header's name":  {app.ConsoleOptions{ProxyUserHeader: "X User", TrustedProxies: network}, "name of a header"},
		"credentials":       {app.ConsoleOptions{ProxyUserHeader: "cookie", TrustedProxies: network}, "carries credentials"},
		"role without them": {app.ConsoleOptions{ProxyRole: users.Viewer}, "--proxy-default-role"},
	} {
		err := test.options.Check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
