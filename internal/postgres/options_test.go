package postgres_test

import (
	"strings"
	"testing"

	"heartbeat/internal/postgres"
)

func TestAmbiguousURLIsRefusedWithoutItsSecret(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"a@MARKER", "a/MARKER", "MARKER/a@b", "a#MARKER", "a?MARKER", "a%MARKER", "a:MARKER@x", "a MARKER", "a\nMARKER"} {
		for _, address := range []string{"postgres://user:" + password + "@db.invalid/name", "postgres://user:" + password + "@db.invalid:5432/name?sslmode=disable", "user:" + password + "@db.invalid"} {
			pool, err := postgres.Open(t.Context(), postgres.Options{URL: address, Role: "test"})
			if err == nil {
				pool.Close()
				t.Errorf("%s is accepted", address)
				continue
			}
			if strings.Contains(err.Error(), "MARKER") || !strings.Contains(err.Error(), "DATABASE_URL") {
				t.Errorf("%q: %v, want an error that names DATABASE_URL and quotes nothing", address, err)
			}
			if described := postgres.Describe(postgres.Options{URL: address}); strings.Contains(described, "MARKER") {
				t.Errorf("Describe(%q) is %s", address, described)
			}
		}
	}
}

func TestEscapedURLAndSeveralHostsAreAccepted(t *testing.T) {
	t.Parallel()
	for _, options := range []postgres.Options{
		{URL: "postgres://user:a%40b%2Fc@one:5433,two:5433/name?target_session_attrs=read-write"},
		{URL: "postgresql://user@/name?host=/var/run/postgresql"},
		{URL: "host=one user=user dbname=name"},
		{Host: "one, two", Port: 5433, Database: "name", User: "user", Password: "a@b/c#d?e%f"},
	} {
		pool, err := postgres.Open(t.Context(), options)
		if err != nil {
			t.Errorf("%+v: %v", options, err)
			continue
		}
		pool.Close()
	}
	if hosts, err := postgres.PlainHosts(postgres.Options{Host: "one, two", Port: 5433, Database: "name", User: "user", SSLMode: "disable"}); err != nil || strings.Join(hosts, " ") != "one two" {
		t.Errorf("hosts %v, %v; want one and two", hosts, err)
	}
}
