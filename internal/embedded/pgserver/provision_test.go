package pgserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/testkit/child"
)

func refused(t *testing.T, url, sql string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), sql)
	return err != nil && strings.Contains(err.Error(), "42501")
}

func TestUserOwnsTheDatabaseAndIsNoSuperuser(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	p := startTest(t, options)
	wantOrdinaryOwner(t, p)
	secret, err := os.ReadFile(filepath.Join(options.Dir, "superuser-password"))
	if err != nil || len(secret) < 20 {
		t.Fatalf("the superuser's password is %d characters long, %v", len(secret), err)
	}
	admin := *p
	admin.User, admin.Password = superuser, string(secret)
	if got := query(t, admin.URL(), "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user"); got != "true" {
		t.Errorf("%s signs in with its password and has superuser = %s", superuser, got)
	}
}

// wantOrdinaryOwner wants a user who may do anything to its database and nothing to the machine.
func wantOrdinaryOwner(t *testing.T, p *Server) {
	t.Helper()
	if got := query(t, p.URL(), "SELECT (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)::text FROM pg_roles WHERE rolname = current_user"); got != "false" {
		t.Errorf("%s has rights over the server", p.User)
	}
	for _, sql := range []string{
		`COPY (SELECT 1) TO PROGRAM 'true'`, `COPY (SELECT 1) TO '/tmp/heartbeat-test-file'`, `SELECT pg_read_file('/etc/hostname')`,
		`SELECT pg_ls_dir('/')`, `ALTER SYSTEM SET work_mem = '8MB'`, `CREATE ROLE intruder SUPERUSER`, `ALTER ROLE heartbeat_superuser PASSWORD 'x'`,
		`GRANT pg_execute_server_program TO CURRENT_USER`, `CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'`, `SET ROLE heartbeat_superuser`,
	} {
		if !refused(t, p.URL(), sql) {
			t.Errorf("%s may %s", p.User, sql)
		}
	}
	for _, sql := range []string{
		`CREATE TABLE own (n int) PARTITION BY RANGE (n)`, `CREATE TABLE own_1 PARTITION OF own FOR VALUES FROM (0) TO (10)`, `DROP TABLE own`,
		`CREATE SCHEMA own`, `DROP SCHEMA own`, `CREATE VIEW own AS SELECT 1`, `DROP VIEW own`, `VACUUM`, `ALTER DATABASE ` + identifier(p.Database) + ` SET work_mem = '8MB'`,
	} {
		execute(t, p.URL(), sql)
	}
}

// A data directory of an earlier version, whose user is the superuser that initdb made and owns everything.
func TestDataOfAnEarlierVersionLosesItsSuperusers(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	earlierVersion(t, options)
	p := startTest(t, options)
	wantOrdinaryOwner(t, p)
	if got := query(t, p.URL(), count); got != "1000" {
		t.Errorf("after the upgrade there are %s rows, want 1000", got)
	}
	for _, sql := range []string{
		`ALTER TABLE beats ADD more int`, `INSERT INTO beats VALUES (1)`, `DROP TABLE beats`, `DROP TABLE parted_1`, `ALTER TABLE parted ADD more int`,
		`INSERT INTO numbered DEFAULT VALUES`, `ALTER TABLE numbered DROP id`, `DROP VIEW shown`, `DROP MATERIALIZED VIEW kept`, `DROP SEQUENCE counted`,
		`DROP FUNCTION one(int)`, `DROP TYPE colour`, `DROP TABLE inner_schema.t`, `DROP SCHEMA inner_schema`, `DROP TABLE of_ingest`,
	} {
		execute(t, p.URL(), sql)
	}
	if got := query(t, p.URL(), "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"); got != superuser {
		t.Errorf("superusers are %s, want %s alone", got, superuser)
	}
}

// earlierVersion makes a data directory as earlier versions did.
func earlierVersion(t *testing.T, options Options) {
	t.Helper()
	data := filepath.Join(options.Dir, "data")
	c := &cluster{dir: data, options: options, account: serverAccount(data), log: testLogger(t)}
	if err := c.account.createDir(options.Dir); err != nil {
		t.Fatal(err)
	}
	found, ok := newest(t.Context(), "")
	if !ok {
		t.Fatal("no server on this machine")
	}
	c.binaries = found
	if _, err := c.superuserPassword(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.program(t.Context(), "", "initdb", "--pgdata="+data, "--username="+options.User, "--pwfile="+c.passwordFile(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale="+locale(), "--no-sync"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.passwordFile()); err != nil {
		t.Fatal(err)
	}
	statements := []string{
		`CREATE ROLE another SUPERUSER LOGIN PASSWORD 'heartbeat_pass'`, `CREATE ROLE heartbeat_ingest`,
		`CREATE DATABASE ` + identifier(options.Database) + ` OWNER ` + identifier(options.User),
	}
	if output, err := c.singleUser(t.Context(), "postgres", statements...); err != nil || strings.Contains(output, "ERROR") {
		t.Fatalf("%v\n%s", err, output)
	}
	if output, err := c.singleUser(t.Context(), options.Database,
		fill, `CREATE TABLE parted (n int) PARTITION BY RANGE (n)`, `CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)`,
		`CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY)`, `CREATE VIEW shown AS SELECT 1`, `CREATE MATERIALIZED VIEW kept AS SELECT 1`,
		`CREATE SEQUENCE counted`, `CREATE FUNCTION one(n int) RETURNS int LANGUAGE sql AS 'SELECT 1'`, `CREATE TYPE colour AS ENUM ('red')`,
		`CREATE SCHEMA inner_schema`, `CREATE TABLE inner_schema.t (n int)`, `CREATE TABLE of_ingest (n int)`, `ALTER TABLE of_ingest OWNER TO heartbeat_ingest`,
	); err != nil || strings.Contains(output, "ERROR") {
		t.Fatalf("%v\n%s", err, output)
	}
}

func TestSecretsAreTheServersAlone(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	p := startTest(t, options)
	for name, want := range map[string]os.FileMode{"superuser-password": 0o600, "data": 0o700, ".": 0o700} {
		info, err := os.Stat(filepath.Join(options.Dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v (%v), want %v", name, info.Mode(), err, want)
		}
	}
	stopTest(t, p)
	if err := Remove(context.Background(), options.Dir, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(options.Dir, "superuser-password")); !os.IsNotExist(err) {
		t.Errorf("the password of removed data: %v, want that it is gone", err)
	}
}

// umask belongs to the process, so this test runs in a child.
func umaskServer(dir string, _ int) (string, error) {
	syscall.Umask(0o077)
	p, err := Start(context.Background(), testOptions(filepath.Join(dir, "below", "data")))
	if err != nil {
		return "", err
	}
	return p.URL(), nil
}

func TestServerStartsUnderAStrictUmask(t *testing.T) {
	t.Parallel()
	_, url := child.Start(t, "umask", directory(t), 0)
	if got := query(t, url, "SELECT 'alive'"); got != "alive" {
		t.Errorf("got %q", got)
	}
}
