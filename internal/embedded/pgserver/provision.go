package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// superuser owns the server. Its password is random and in a file beside the data; nothing here signs in with it.
const superuser = "heartbeat_superuser"

// passwordFile holds the superuser's password, for the user who owns the data.
func (c *cluster) passwordFile() string {
	return filepath.Join(filepath.Dir(c.dir), "superuser-password")
}

// superuserPassword returns the content of the password file, which is written at the first start.
func (c *cluster) superuserPassword() (string, error) {
	name := c.passwordFile()
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(rand.Text())
		err = os.WriteFile(name, text, 0o600)
	}
	if err == nil {
		err = os.Chmod(name, 0o600)
	}
	if err == nil && c.account != nil {
		err = os.Chown(name, int(c.account.uid), int(c.account.gid)) // initdb reads it
	}
	return strings.TrimSpace(string(text)), err
}

// provision makes user, password and database what the options say, in single-user mode, which needs no password and costs
// 30 ms for each database. It runs at every start, so a changed password takes effect without the old one.
//
// The user owns the database and is no superuser, because its password is a published default: a superuser may run programs as
// the server's account.
func (c *cluster) provision(ctx context.Context) error {
	secret, err := c.superuserPassword()
	if err != nil {
		return err
	}
	created, err := c.singleUser(ctx, "postgres", append(takeSuperuser(secret), c.createUser()...)...)
	if err != nil {
		return err
	}
	taken, err := c.singleUser(ctx, c.options.Database, "DROP ROLE IF EXISTS heartbeat_upgrade", c.takeObjects(), c.check())
	if err != nil || !strings.Contains(taken, `"provisioned"`) {
		return fmt.Errorf("PostgreSQL said: %s", strings.TrimSpace(created+taken))
	}
	return nil
}

// check selects a word if user and database are as they should be.
func (c *cluster) check() string {
	return "SELECT 'provisioned' AS state FROM pg_database, pg_roles WHERE datname = current_database() AND datdba = pg_roles.oid AND rolname = " +
		literal(c.options.User) + " AND rolcanlogin AND rolsuper = " + strconv.FormatBool(c.options.Superuser) +
		" AND EXISTS (SELECT FROM pg_roles WHERE oid = 10 AND rolname = '" + superuser + "')"
}

// takeSuperuser gives the role that initdb made its name and password. Earlier versions gave that role the name of the user: its
// rights cannot be taken away, so it is renamed, and every other superuser that they made becomes an ordinary role. A session
// cannot rename its own role and therefore becomes another one, which the next session drops.
func takeSuperuser(secret string) []string {
	return []string{
		"DO $do$ DECLARE held record; first text := (SELECT rolname FROM pg_roles WHERE oid = 10); BEGIN IF first <> '" + superuser + "' THEN " +
			"CREATE ROLE heartbeat_upgrade SUPERUSER; SET SESSION AUTHORIZATION heartbeat_upgrade; " +
			"EXECUTE format('ALTER ROLE %I RENAME TO " + superuser + "', first); " +
			"FOR held IN SELECT rolname FROM pg_roles WHERE rolsuper AND oid <> 10 AND rolname <> 'heartbeat_upgrade' LOOP EXECUTE format('ALTER ROLE %I NOSUPERUSER', held.rolname); END LOOP; " +
			"END IF; END $do$",
		"ALTER ROLE " + superuser + " LOGIN PASSWORD " + literal(secret),
	}
}

// createUser creates user and database. Statements about what exists already fail and are passed over.
func (c *cluster) createUser() []string {
	user, database := identifier(c.options.User), identifier(c.options.Database)
	rights := "NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS"
	if c.options.Superuser {
		rights = "SUPERUSER"
	}
	return []string{
		"CREATE ROLE " + user,
		"ALTER ROLE " + user + " " + rights + " LOGIN PASSWORD " + literal(c.options.Password),
		"CREATE DATABASE " + database + " OWNER " + user,
	}
}

// takeObjects gives the user everything in the database that belongs to the superuser or to the database's owner before, and the
// membership in the roles that `heartbeat migrate --roles` made. PostgreSQL's REASSIGN OWNED refuses the first superuser.
func (c *cluster) takeObjects() string {
	return "DO $do$ DECLARE object record; owner name := " + literal(c.options.User) + "; before oid[] := ARRAY[10, (SELECT datdba FROM pg_database WHERE datname = current_database())]; BEGIN " +
		"before := array_remove(before, (SELECT oid FROM pg_roles WHERE rolname = owner)); " +
		"FOR object IN " +
		"SELECT 'SCHEMA' AS kind, format('%I', nspname) AS name FROM pg_namespace WHERE nspowner = ANY (before) AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') " +
		"UNION ALL SELECT 'TABLE', format('%I.%I', nspname, relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace " +
		"WHERE relowner = ANY (before) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema' " +
		"AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND (deptype = 'e' OR relkind = 'S' AND deptype IN ('a', 'i'))) " +
		"UNION ALL SELECT 'ROUTINE', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace " +
		"WHERE proowner = ANY (before) AND nspname !~ '^pg_' AND nspname <> 'information_schema' " +
		"AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e') " +
		"UNION ALL SELECT 'TYPE', format('%I.%I', nspname, typname) FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = typnamespace " +
		"WHERE typowner = ANY (before) AND typtype IN ('d', 'e', 'r') AND nspname !~ '^pg_' AND nspname <> 'information_schema' " +
		"AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e') " +
		"LOOP EXECUTE format('ALTER %s %s OWNER TO %I', object.kind, object.name, owner); END LOOP; " +
		"FOR object IN SELECT rolname AS name FROM pg_roles WHERE rolname IN ('heartbeat_owner', 'heartbeat_ingest', 'heartbeat_dashboard', 'heartbeat_grafana') AND rolname <> owner " +
		"LOOP EXECUTE format('GRANT %I TO %I', object.name, owner); END LOOP; " +
		"EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), owner); END $do$"
}

// singleUser runs statements, one a line, and returns what the server printed. Failing statements are kept out of its log, because
// some hold a password.
func (c *cluster) singleUser(ctx context.Context, database string, statements ...string) (string, error) {
	return c.program(ctx, strings.Join(statements, "\n")+"\n", "postgres", "--single", "-D", c.dir,
		"-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off", database)
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func literal(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }
