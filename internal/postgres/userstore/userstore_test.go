package userstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
	"heartbeat/internal/postgres/userstore"
	"heartbeat/internal/users"
)

const (
	hash  = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	other = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
)

func session(n byte) users.SessionHash { return users.SessionHash{n} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("the error is %v, want %v", err, want)
	}
}

func TestUserIsAddedChangedAndDisabled(t *testing.T) {
	t.Parallel()
	store := userstore.New(pgtest.Database(t))
	if any, err := store.Any(t.Context()); err != nil || any {
		t.Errorf("a new database has users: %t, %v", any, err)
	}
	must(t, store.Add(t.Context(), "anna", users.Operator, hash))
	must(t, store.Add(t.Context(), "ben", users.Viewer, ""))
	wantError(t, store.Add(t.Context(), "anna", users.Admin, other), users.ErrExists)
	all, err := store.List(t.Context())
	must(t, err)
	if len(all) != 2 || all[0].Name != "anna" || all[0].Role != users.Operator || !all[0].HasPassword || all[0].DisabledAt != nil || all[1].HasPassword {
		t.Errorf("the users are %+v", all)
	}
	if got, err := store.PasswordHash(t.Context(), "anna"); err != nil || got != hash {
		t.Errorf("the hash is %q, %v", got, err)
	}
	_, err = store.PasswordHash(t.Context(), "ben")
	wantError(t, err, users.ErrNotFound)
	must(t, store.Disable(t.Context(), "anna"))
	must(t, store.Disable(t.Context(), "anna"))
	_, err = store.PasswordHash(t.Context(), "anna")
	wantError(t, err, users.ErrNotFound)
	must(t, store.Enable(t.Context(), "anna", ""))
	must(t, store.Enable(t.Context(), "ben", users.Admin))
	for name, want := range map[string]users.Role{"anna": users.Operator, "ben": users.Admin} {
		if user, err := store.User(t.Context(), name); err != nil || user.Role != want || user.DisabledAt != nil {
			t.Errorf("%s is %+v, %v, want role %s", name, user, err, want)
		}
	}
	_, err = store.User(t.Context(), "carl")
	wantError(t, err, users.ErrNotFound)
	wantError(t, store.SetPassword(t.Context(), "carl", hash), users.ErrNotFound)
	wantError(t, store.Disable(t.Context(), "carl"), users.ErrNotFound)
	wantError(t, store.Enable(t.Context(), "carl", ""), users.ErrNotFound)
}

func TestDatabaseRefusesUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	for _, values := range []string{
		`'Anna', 'viewer', NULL, NULL`, `'', 'viewer', NULL, NULL`, `'local', 'viewer', NULL, NULL`, `'anna', 'root', NULL, NULL`,
		`'anna', 'viewer', 'a password', now()`, `'anna', 'viewer', '$argon2id$x', NULL`, `E'anna\n', 'viewer', NULL, NULL`,
	} {
		if _, err := pool.Exec(t.Context(), `INSERT INTO console_users (name, role, password_hash, password_at) VALUES (`+values+`)`); err == nil {
			t.Errorf("the user (%s) was accepted", values)
		}
	}
}

func TestSessionLastsUntilItsUserChanges(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := userstore.New(pool)
	must(t, store.Add(t.Context(), "anna", users.Operator, hash))
	wantError(t, store.Begin(t.Context(), session(1), "anna", other, time.Hour), users.ErrNotFound) // the password changed since it was checked
	for name, end := range map[string]func() error{
		"sign-out":     func() error { return store.End(t.Context(), session(1), session(9)) },
		"new password": func() error { return store.SetPassword(t.Context(), "anna", hash) },
		"disable":      func() error { return store.Disable(t.Context(), "anna") },
		"expiry": func() error {
			_, err := pool.Exec(t.Context(), `UPDATE console_sessions SET expires_at = now()`)
			return err
		},
	} {
		must(t, store.Enable(t.Context(), "anna", ""))
		must(t, store.Begin(t.Context(), session(1), "anna", hash, time.Hour))
		got, err := userstore.New(pool).Session(t.Context(), session(2), session(1)) // as another console asks
		if err != nil || got.User != "anna" || got.Role != users.Operator || got.Hash != session(1) || time.Until(got.Ends) < 50*time.Minute {
			t.Errorf("%s: the session is %+v, %v", name, got, err)
		}
		must(t, end())
		_, err = store.Session(t.Context(), session(1))
		if !errors.Is(err, users.ErrNotFound) {
			t.Errorf("%s: the session is read with %v, want it to have ended", name, err)
		}
		pgtest.Exec(t, pool, `DELETE FROM console_sessions`) // an expired one is still stored
	}
	wantError(t, store.Begin(t.Context(), session(3), "carl", hash, time.Hour), users.ErrNotFound)
}

func TestSessionOfTheTokenHasNoUser(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := userstore.New(pool)
	must(t, store.BeginToken(t.Context(), session(1), time.Hour))
	if got, err := store.Session(t.Context(), session(1)); err != nil || got.User != "" || got.Role != "" {
		t.Errorf("the session is %+v, %v", got, err)
	}
	pgtest.Exec(t, pool, `UPDATE console_sessions SET last_seen_at = now() - interval '2 minutes'`)
	if _, err := store.Session(t.Context(), session(1)); err != nil {
		t.Error(err)
	}
	if seen := pgtest.Value[bool](t, pool, `SELECT bool_and(last_seen_at > now() - interval '10 seconds') FROM console_sessions`); !seen {
		t.Error("a session in use was not noted as seen")
	}
}

// However the two meet, a session of the old password does not outlive the change.
func TestSessionBegunWhileThePasswordChangesEnds(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := userstore.New(pool)
	must(t, store.Add(t.Context(), "anna", users.Operator, hash))
	for n := range byte(50) {
		must(t, store.SetPassword(t.Context(), "anna", hash))
		var both sync.WaitGroup
		both.Go(func() { _ = store.Begin(t.Context(), session(n), "anna", hash, time.Hour) })
		both.Go(func() { _ = store.SetPassword(t.Context(), "anna", other) })
		both.Wait()
		if _, err := store.Session(t.Context(), session(n)); !errors.Is(err, users.ErrNotFound) {
			t.Fatalf("round %d: a session of the old password is open: %v", n, err)
		}
	}
}

func TestAuditOnlyGrows(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := userstore.New(pool)
	must(t, store.AuditRead(t.Context(), users.Actor{Name: "anna", Role: users.Viewer, Method: users.Proxy}, "CUST_00042", "GET /api/v1/customers/{id}"))
	pgtest.WantRows(t, pool, `SELECT actor, method, subject, route FROM audited_reads`, "anna proxy CUST_00042 GET /api/v1/customers/{id}")
	for _, statement := range []string{`UPDATE audited_reads SET actor = 'ben'`, `DELETE FROM audited_reads`, `TRUNCATE audited_reads`} {
		if _, err := pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s was accepted", statement)
		}
	}
}

// Roles belong to the server that all tests of this binary share, so one test makes them.
func TestConsoleRolesSignPeopleInAndNoMore(t *testing.T) {
	t.Parallel()
	owner := pgtest.Database(t)
	passwords := map[schema.Role]string{
		schema.DashboardRole: "dashboard-secret", schema.OperatorRole: "operator-secret", schema.IngestRole: "ingest-secret", schema.GrafanaRole: "grafana-secret",
	}
	must(t, schema.ApplyRoles(t.Context(), owner, passwords))
	must(t, userstore.New(owner).Add(t.Context(), "anna", users.Operator, hash))
	denied := []string{
		`INSERT INTO console_users (name, role) VALUES ('eve', 'admin')`, `UPDATE console_users SET role = 'admin'`,
		`UPDATE console_users SET password_hash = NULL`, `UPDATE console_users SET disabled_at = NULL`, `DELETE FROM console_users`,
		`UPDATE console_sessions SET user_name = 'anna'`, `UPDATE console_sessions SET expires_at = 'infinity'`, `TRUNCATE console_sessions`,
		`SELECT * FROM audited_reads`, `DELETE FROM audited_reads`, `UPDATE audited_reads SET actor = ''`, `ALTER TABLE audited_reads DISABLE TRIGGER ALL`,
	}
	for n, role := range []schema.Role{schema.DashboardRole, schema.OperatorRole} {
		pool := pgtest.SignIn(t, owner, string(role), passwords[role])
		signIn(t, userstore.New(pool), session(byte(n)))
		wantDenied(t, role, pool, denied)
	}
	for _, role := range []schema.Role{schema.IngestRole, schema.GrafanaRole} {
		wantDenied(t, role, pgtest.SignIn(t, owner, string(role), passwords[role]), append(denied, `SELECT name FROM console_users`, `SELECT * FROM console_sessions`,
			`INSERT INTO console_sessions (session_hash, expires_at) VALUES ('', now())`))
	}
}

func signIn(t *testing.T, store *userstore.Store, key users.SessionHash) {
	t.Helper()
	got, err := store.PasswordHash(t.Context(), "anna")
	must(t, err)
	must(t, store.Begin(t.Context(), key, "anna", got, time.Hour))
	_, err = store.Session(t.Context(), key)
	must(t, err)
	must(t, store.AuditRead(t.Context(), users.Actor{Name: "anna", Role: users.Operator, Method: users.Password}, "CUST_00042", "GET /"))
	must(t, store.End(t.Context(), key))
}

func wantDenied(t *testing.T, role schema.Role, pool *pgxpool.Pool, statements []string) {
	t.Helper()
	pgtest.Exec(t, pool, `SET default_transaction_read_only = off`)
	for _, statement := range statements {
		const insufficientPrivilege = "42501"
		_, err := pool.Exec(t.Context(), `BEGIN READ WRITE; `+statement)
		_, _ = pool.Exec(t.Context(), `ROLLBACK`)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != insufficientPrivilege {
			t.Errorf("%s: %s: %v, want it refused for lack of a right", role, statement, err)
		}
	}
}
