package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

func TestPingSaysWhatToDo(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for name, test := range map[string]struct {
		change func(*url.URL)
		want   string
	}{
		"wrong password":   {func(u *url.URL) { u.User = url.UserPassword("heartbeat_user", "wrong") }, "POSTGRES_PASSWORD"},
		"missing database": {func(u *url.URL) { u.Path = "/nowhere" }, "POSTGRES_DB"},
		"no listener":      {func(u *url.URL) { u.Host = "127.0.0.1:1" }, "POSTGRES_PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, err := url.Parse(pgtest.URL(pool))
			if err != nil {
				t.Fatal(err)
			}
			test.change(address)
			other, err := postgres.Open(t.Context(), postgres.Options{URL: address.String()})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := postgres.Ping(ctx, other); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "heartbeat_pass") {
				t.Errorf("Ping: %v, want it to name %s and no password", err, test.want)
			}
		})
	}
}

func TestOptionsNameTheDatabase(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		options postgres.Options
		want    string
	}{
		{postgres.Options{Host: "db", Database: "d", User: "u"}, "db:5432, database d, user u"},
		{postgres.Options{Host: "::1", Port: 5433, Database: "a b/c", User: "u@x", Password: "p:/?#@"}, "::1:5433, database a b/c, user u@x"},
		{postgres.Options{Host: "/run/postgresql", Port: 5433, Database: "d", User: "u"}, "/run/postgresql:5433, database d, user u"},
		{postgres.Options{Host: "no", Database: "no", User: "no", URL: "postgres://u:p@db:1/d"}, "db:1, database d, user u"},
	} {
		if got := postgres.Describe(test.options); got != test.want {
			t.Errorf("%+v is %s, want %s", test.options, got, test.want)
		}
	}
	for _, options := range []postgres.Options{{}, {Host: "db"}, {URL: "postgres://u:secret@db:port/d"}} {
		pool, err := postgres.Open(t.Context(), options)
		if err == nil {
			pool.Close()
		}
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%+v): %v, want an error without the password", options, err)
		}
	}
}

func TestSessionsKeepToTheRules(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pgtest.WantRows(t, pool, `
SELECT name, setting FROM pg_settings
 WHERE name IN ('application_name', 'TimeZone', 'search_path', 'statement_timeout', 'idle_in_transaction_session_timeout', 'synchronous_commit', 'jit')
 ORDER BY lower(name)`,
		"application_name heartbeat-test", "idle_in_transaction_session_timeout 15000", "jit off", "search_path public",
		"statement_timeout 30000", "synchronous_commit on", "TimeZone UTC")
}
