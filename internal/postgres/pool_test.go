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
		"nobody listens":   {func(u *url.URL) { u.Host = "127.0.0.1:1" }, "POSTGRES_PORT"},
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
