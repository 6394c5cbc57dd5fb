package devicestore_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/device"
	"heartbeat/internal/postgres/devicestore"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

var (
	watch    = device.Device{Name: "watch", Scope: device.ForCustomer, Customer: 42}
	gateway  = device.Device{Name: "ward-gateway", Scope: device.ForCohort, Cohort: "ward", Rate: 250}
	importer = device.Device{Name: "importer", Scope: device.ForAll}
)

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

// add adds a device with a new token.
func add(t *testing.T, store *devicestore.Store, added device.Device) (token string) {
	t.Helper()
	token = device.NewToken()
	must(t, store.Add(t.Context(), added, device.HashToken(token)))
	return token
}

// devicesOf returns the devices by the hashes of their tokens.
func devicesOf(t *testing.T, store *devicestore.Store) (device.Snapshot, map[device.Hash]device.Device) {
	t.Helper()
	snapshot, err := store.Devices(t.Context())
	must(t, err)
	known := map[device.Hash]device.Device{}
	for _, credential := range snapshot.Credentials {
		known[credential.Hash] = credential.Device
	}
	return snapshot, known
}

func TestDevicesAreReadAsTheyWereAdded(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := devicestore.New(pool)
	tokens := map[device.Device]string{}
	for _, added := range []device.Device{watch, gateway, importer} {
		tokens[added] = add(t, store, added)
		wantError(t, store.Add(t.Context(), added, device.HashToken(device.NewToken())), device.ErrExists)
	}
	_, known := devicesOf(t, store)
	for added, token := range tokens {
		if known[device.HashToken(token)] != added {
			t.Errorf("the device is %+v, want %+v", known[device.HashToken(token)], added)
		}
	}
	pgtest.WantRows(t, pool, `SELECT name, scope, customer_id, cohort, rate FROM devices ORDER BY name`,
		"importer all <nil> <nil> <nil>", "ward-gateway cohort <nil> ward 250", "watch customer CUST_00042 <nil> <nil>")
	all, err := store.List(t.Context())
	must(t, err)
	if len(all) != 3 || all[1].Name != "ward-gateway" || *all[1].Cohort != "ward" || *all[1].Rate != 250 || all[1].CreatedAt.IsZero() || all[1].RevokedAt != nil ||
		*all[2].Customer != "CUST_00042" || all[2].Rate != nil {
		t.Errorf("the devices are %+v", all)
	}
}

func TestRotationKeepsThePreviousTokenForTheOverlap(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := devicestore.New(pool)
	first, second, third, fourth := add(t, store, watch), device.NewToken(), device.NewToken(), device.NewToken()
	want := func(when string, tokens ...string) {
		t.Helper()
		_, known := devicesOf(t, store)
		if len(known) != len(tokens) {
			t.Errorf("%s, %d tokens are valid, want %d", when, len(known), len(tokens))
		}
		for n, token := range tokens {
			if known[device.HashToken(token)] != watch {
				t.Errorf("%s, token %d of the wanted ones is not valid", when, n)
			}
		}
	}
	must(t, store.Rotate(t.Context(), "watch", device.HashToken(second), 10*time.Minute))
	want("after a rotation with an overlap", first, second)
	snapshot, _ := devicesOf(t, store)
	for _, credential := range snapshot.Credentials {
		if previous := credential.Hash == device.HashToken(first); previous != (credential.Remaining > 9*time.Minute && credential.Remaining <= 10*time.Minute) {
			t.Errorf("previous %t: the token remains valid for %s", previous, credential.Remaining)
		}
	}
	must(t, store.Rotate(t.Context(), "watch", device.HashToken(third), time.Hour))
	want("after a second rotation", second, third)
	pgtest.Exec(t, pool, `UPDATE devices SET previous_until = now()`)
	want("after the overlap", third)
	must(t, store.Rotate(t.Context(), "watch", device.HashToken(fourth), 0))
	want("after a rotation without an overlap", fourth)
	wantError(t, store.Rotate(t.Context(), "other", device.HashToken(fourth), 0), device.ErrNotFound)
}

func TestRevokedDeviceStaysRevoked(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := devicestore.New(pool)
	add(t, store, watch)
	must(t, store.Rotate(t.Context(), "watch", device.HashToken(device.NewToken()), time.Hour))
	must(t, store.Revoke(t.Context(), "watch"))
	at := pgtest.Value[time.Time](t, pool, `SELECT revoked_at FROM devices`)
	must(t, store.Revoke(t.Context(), "watch"))
	if again := pgtest.Value[time.Time](t, pool, `SELECT revoked_at FROM devices`); !again.Equal(at) {
		t.Errorf("a second revocation moved the first one from %s to %s", at, again)
	}
	if _, known := devicesOf(t, store); len(known) != 0 {
		t.Errorf("a revoked device has tokens: %v", known)
	}
	wantError(t, store.Rotate(t.Context(), "watch", device.HashToken(device.NewToken()), 0), device.ErrRevoked)
	wantError(t, store.Add(t.Context(), watch, device.HashToken(device.NewToken())), device.ErrExists)
	wantError(t, store.Revoke(t.Context(), "other"), device.ErrNotFound)
}

func TestCohortsAreThoseOfNow(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := devicestore.New(pool)
	member := func(customer, cohort, since string) {
		t.Helper()
		pgtest.Exec(t, pool, `ALTER TABLE cohort_members DISABLE TRIGGER cohort_members_not_in_the_past`)
		pgtest.Exec(t, pool, `INSERT INTO cohort_members (customer_id, cohort, author, effective_from) VALUES ($1, $2, 'anna', now() + $3::interval)`, customer, cohort, since)
	}
	member("CUST_00001", "ward", "-2 hours")
	if snapshot, _ := devicesOf(t, store); len(snapshot.Cohorts) != 0 {
		t.Errorf("without a device for a cohort, members were read: %v", snapshot.Cohorts)
	}
	add(t, store, gateway)
	member("CUST_00002", "ward", "-2 hours")
	member("CUST_00002", "icu", "-1 hour")
	member("CUST_00003", "ward", "-2 hours")
	member("CUST_00003", "", "-1 hour")
	member("CUST_00004", "icu", "-1 hour")
	member("CUST_00004", "ward", "1 hour")
	member("CUST_00005", "icu", "-2 hours")
	member("CUST_00005", "ward", "-1 hour")
	snapshot, _ := devicesOf(t, store)
	if cohorts := snapshot.Cohorts; len(cohorts) != 2 || cohorts[1] != "ward" || cohorts[5] != "ward" {
		t.Errorf("the members are %v, want customers 1 and 5", cohorts)
	}
}

func TestDatabaseRefusesDevicesThatCannotBe(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	insert := func(values string) error {
		_, err := pool.Exec(t.Context(), `
INSERT INTO devices (name, token_hash, scope, customer_id, cohort, rate, previous_hash, previous_until, revoked_at)
VALUES (`+values+`)`)
		return err
	}
	must(t, insert(`'good', sha256('1'), 'all', NULL, NULL, 1, NULL, NULL, NULL`))
	for _, values := range []string{
		`'Big', sha256('2'), 'all', NULL, NULL, NULL, NULL, NULL, NULL`,
		`E'line\n', sha256('2'), 'all', NULL, NULL, NULL, NULL, NULL, NULL`,
		`'short-hash', '\x00', 'all', NULL, NULL, NULL, NULL, NULL, NULL`,
		`'same-hash', sha256('1'), 'all', NULL, NULL, NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'none', NULL, NULL, NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'customer', NULL, NULL, NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'customer', 'CUST_1', NULL, NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'customer', 'CUST_00001', 'ward', NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'cohort', NULL, NULL, NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'cohort', NULL, '', NULL, NULL, NULL, NULL`,
		`'scope', sha256('2'), 'all', 'CUST_00001', NULL, NULL, NULL, NULL, NULL`,
		`'rate', sha256('2'), 'all', NULL, NULL, 0, NULL, NULL, NULL`,
		`'rate', sha256('2'), 'all', NULL, NULL, 'NaN', NULL, NULL, NULL`,
		`'rate', sha256('2'), 'all', NULL, NULL, 'infinity', NULL, NULL, NULL`,
		`'previous', sha256('2'), 'all', NULL, NULL, NULL, sha256('3'), NULL, NULL`,
		`'previous', sha256('2'), 'all', NULL, NULL, NULL, '\x00', now(), NULL`,
		`'revoked', sha256('2'), 'all', NULL, NULL, NULL, sha256('3'), now(), now()`,
	} {
		if err := insert(values); err == nil {
			t.Errorf("the device (%s) was accepted", values)
		}
	}
}

// The gateway signs in as its own role, and what people change takes effect in its registry.
func TestGatewayFollowsTheDevicesAndMayDoNoMore(t *testing.T) {
	t.Parallel()
	owner := pgtest.Database(t)
	passwords := map[schema.Role]string{
		schema.GatewayRole: "gateway-secret", schema.DashboardRole: "dashboard-secret", schema.OperatorRole: "operator-secret",
		schema.IngestRole: "ingest-secret", schema.NotifyRole: "notify-secret", schema.GrafanaRole: "grafana-secret",
	}
	must(t, schema.ApplyRoles(t.Context(), owner, passwords))
	signIn := func(role schema.Role) *pgxpool.Pool { return pgtest.SignIn(t, owner, string(role), passwords[role]) }
	pool := signIn(schema.GatewayRole)
	t.Run("registry", func(t *testing.T) { followsDevices(t, devicestore.New(owner), pool) })
	wantDenied(t, schema.GatewayRole, signIn(schema.GatewayRole), []string{
		`INSERT INTO devices (name, token_hash, scope) VALUES ('eve', sha256('1'), 'all')`, `UPDATE devices SET revoked_at = NULL`, `DELETE FROM devices`,
		`UPDATE cohort_members SET cohort = ''`, `SELECT FROM heartbeat_records`, `SELECT FROM customer_state`, `SELECT FROM alarms`, `SELECT FROM console_users`,
		`SELECT FROM dead_letters`, `SELECT FROM detection_limits`, `SELECT FROM schema_migrations`, `CREATE TABLE intruder ()`,
	})
	delete(passwords, schema.GatewayRole)
	for role := range passwords {
		wantDenied(t, role, signIn(role), []string{`SELECT name FROM devices`, `UPDATE devices SET revoked_at = NULL`, `DELETE FROM devices`})
	}
}

// followsDevices changes devices with a store and wants the changes in a registry that polls on a pool, which it closes.
func followsDevices(t *testing.T, store *devicestore.Store, pool *pgxpool.Pool) {
	registry := device.NewRegistry(devicestore.New(pool), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- registry.Run(ctx) }()
	defer func() { cancel(); must(t, <-ended) }()

	valid := func(token string) bool { _, ok := registry.Authenticate(token); return ok }
	// within wants a condition within one poll and the time of a busy machine.
	within := func(what string, condition func() bool) {
		t.Helper()
		began := time.Now()
		pgtest.Await(t, what, condition)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s, want 5 s at most", what, took)
		}
	}
	first := add(t, store, gateway)
	within("the device is known", func() bool { return valid(first) })
	second := device.NewToken()
	must(t, store.Rotate(t.Context(), gateway.Name, device.HashToken(second), time.Hour))
	within("the new token is known", func() bool { return valid(second) })
	if !valid(first) {
		t.Error("the previous token is not valid during the overlap")
	}
	must(t, store.Revoke(t.Context(), gateway.Name))
	within("both tokens are revoked", func() bool { return !valid(first) && !valid(second) })
	third := add(t, store, importer)
	within("another device is known", func() bool { return valid(third) })
	pool.Close() // the database is away
	if _, err := devicestore.New(pool).Devices(ctx); err == nil || !valid(third) || registry.Ready() != nil {
		t.Errorf("without the database (%v) the token is valid: %t, ready: %v", err, valid(third), registry.Ready())
	}
}

func wantDenied(t *testing.T, role schema.Role, pool *pgxpool.Pool, statements []string) {
	t.Helper()
	for _, statement := range statements {
		const insufficientPrivilege = "42501"
		_, err := pool.Exec(t.Context(), `BEGIN READ WRITE; `+statement)
		_, _ = pool.Exec(t.Context(), `ROLLBACK`)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != insufficientPrivilege {
			t.Errorf("%s: %s: %v, want it refused for lack of a right", role, statement, err)
		}
	}
}
