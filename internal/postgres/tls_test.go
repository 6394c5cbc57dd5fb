package postgres_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"heartbeat/internal/embedded/pgserver"
	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/testkit/certificates"
)

// tlsServer starts a server whose certificate is for 127.0.0.1 alone, and returns the directory that holds the authorities
// ca.pem, which has signed it, and other.pem, which has not.
func tlsServer(t *testing.T) (options postgres.Options, directory string) {
	t.Helper()
	home, directory := t.TempDir(), t.TempDir()
	for path := home; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil { // the server's user must be able to pass
			t.Fatal(err)
		}
	}
	server, err := pgserver.Start(t.Context(), pgserver.Options{
		Dir: filepath.Join(home, "server"), Database: "heartbeat_db", User: "heartbeat_user", Password: "heartbeat_pass", Superuser: true,
		Version: os.Getenv("HEARTBEAT_TEST_POSTGRES"), Settings: map[string]string{"fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	data := filepath.Join(home, "server", "data")
	writeCertificates(t, data, directory)
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, setting := range []string{"ssl_cert_file = '" + data + "/server.pem'", "ssl_key_file = '" + data + "/server.key'", "ssl = on"} {
		pgtest.Exec(t, pool, "ALTER SYSTEM SET "+setting)
	}
	pgtest.Exec(t, pool, "SELECT pg_reload_conf()")
	pgtest.Await(t, "the server to speak TLS", func() bool { return pgtest.Value[string](t, pool, "SHOW ssl") == "on" })
	return postgres.Options{
		Host: port.Host, Port: server.Port, Database: server.Database, User: server.User, Password: server.Password,
	}, directory
}

func writeCertificates(t *testing.T, data, directory string) {
	t.Helper()
	ours, err := certificates.New()
	if err != nil {
		t.Fatal(err)
	}
	other, err := certificates.New()
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := ours.Issue(port.Host)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		filepath.Join(data, "server.pem"): certificate, filepath.Join(data, "server.key"): key,
		filepath.Join(directory, "ca.pem"): ours.PEM(), filepath.Join(directory, "other.pem"): other.PEM(),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, data) {
			uid := owner.Sys().(*syscall.Stat_t).Uid
			if err := os.Chown(path, int(uid), -1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestServersMustProveWhoTheyAre(t *testing.T) {
	t.Parallel()
	good, certificates := tlsServer(t)
	good.SSLMode, good.SSLRootCert = "verify-full", filepath.Join(certificates, "ca.pem")
	for name, test := range map[string]struct {
		change func(*postgres.Options)
		want   string // in the error; empty where it must work
	}{
		"right authority and name": {func(*postgres.Options) {}, ""},
		"as an address": {func(o *postgres.Options) {
			o.URL = "postgres://heartbeat_user:heartbeat_pass@127.0.0.1:" + strconv.Itoa(o.Port) + "/heartbeat_db?sslmode=disable"
		}, ""},
		"another authority":        {func(o *postgres.Options) { o.SSLRootCert = filepath.Join(certificates, "other.pem") }, "POSTGRES_SSLROOTCERT"},
		"the system's authorities": {func(o *postgres.Options) { o.SSLRootCert = "" }, "POSTGRES_SSLROOTCERT"},
		"another name":             {func(o *postgres.Options) { o.Host = "localhost" }, "POSTGRES_HOST"},
		"wrong password":           {func(o *postgres.Options) { o.Password = "wrong" }, "POSTGRES_PASSWORD"},
		"no such file":             {func(o *postgres.Options) { o.SSLRootCert = filepath.Join(certificates, "gone.pem") }, "gone.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := good
			test.change(&options)
			err := reach(t, options)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want an error that names %s", err, test.want)
			}
		})
	}
}

// reach connects and makes sure that it is over TLS.
func reach(t *testing.T, options postgres.Options) error {
	t.Helper()
	pool, err := postgres.Open(t.Context(), options)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.Ping(t.Context(), pool); err != nil {
		if postgres.Unavailable(err) {
			t.Errorf("%v is taken for an outage that passes by itself", err)
		}
		return err
	}
	if !pgtest.Value[bool](t, pool, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") {
		t.Error("the connection is not encrypted")
	}
	return nil
}

func TestServerWithoutTLSIsNotTakenInstead(t *testing.T) {
	t.Parallel()
	err := reach(t, postgres.Options{URL: pgtest.URL(pgtest.Database(t)), SSLMode: "verify-full"})
	if err == nil || !strings.Contains(err.Error(), "POSTGRES_SSLMODE") {
		t.Errorf("%v, want an error that names POSTGRES_SSLMODE", err)
	}
}
