package e2e_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A password that changes on the server and in its file is read again by a running consumer at its next connection.
func TestChangedPasswordIsReadAgain(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	for name, c := range map[string]struct{ file, content, variable string }{
		"password file": {"password", "%s\n", "POSTGRES_PASSWORD_FILE"},
		"passfile":      {".pgpass", "*:*:*:*:%s\n", "PGPASSFILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			user := "rotating_" + strings.ReplaceAll(f.topic, "-", "_")
			file := filepath.Join(t.TempDir(), c.file)
			set := func(sql, password string) {
				t.Helper()
				if _, err := f.pool.Exec(t.Context(), fmt.Sprintf(sql+` PASSWORD '%s'`, user, password)); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, fmt.Appendf(nil, c.content, password), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			set(`CREATE ROLE %s LOGIN SUPERUSER`, "first")
			address, err := url.Parse(f.database)
			if err != nil {
				t.Fatal(err)
			}
			address.User = url.User(user)
			producer := f.produce("--rate", "1000", "--seed", "75")
			consumer := start(t, command{
				arguments: f.consumeArguments(), environment: append(f.environment(address.String()), c.variable+"="+file),
			})
			f.storedMore(1_000)
			for _, password := range []string{"second", "third"} {
				set(`ALTER ROLE %s`, password)
				if ended := value[int64](t, f.pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1`, user); ended == 0 {
					t.Fatal("the consumer has no session: the test proves nothing")
				}
				changed := outage{time.Now(), f.stored()}
				f.waitStoredAgain(changed)
				if blind := time.Since(changed.began); blind > failoverWithin {
					t.Errorf("stored again after %v, want at most %v", blind, failoverWithin)
				}
				f.storedMore(1_000)
			}
			producer.interrupt()
			f.caughtUp(waitTimeout)
			consumer.interrupt()
			auditSending(t, f.audit())
		})
	}
}
