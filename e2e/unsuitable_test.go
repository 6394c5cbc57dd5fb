package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"heartbeat/internal/testkit/freeport"
	"heartbeat/internal/testkit/pgbouncer"
)

// databaseRoles returns the command lines that need a database, and end by themselves where it is unsuitable.
func (f *fixture) databaseRoles() [][]string {
	kafka := []string{"--brokers", f.broker, "--topic", f.topic}
	return [][]string{
		{"migrate"},
		append([]string{"consume", "--group", f.group, "--metrics-address", "none"}, kafka...),
		append([]string{"serve", "--group", f.group, "--listen", freeport.Address(f.t)}, kafka...),
		append([]string{"verify"}, kafka...),
		append([]string{"doctor", "--group", f.group}, kafka...),
		{"deadletter", "list"}, {"partitions"}, {"user", "list"}, {"alarm", "list"}, {"limits", "list"},
	}
}

// wantRolesRefused wants every role to end with an error that names the remedy.
func (f *fixture) wantRolesRefused(database, remedy string) {
	f.t.Helper()
	for _, arguments := range f.databaseRoles() {
		role := start(f.t, command{arguments: arguments, environment: f.environment(database)})
		if code := role.wait(waitTimeout); code != 1 || !strings.Contains(role.output.String(), remedy) {
			f.t.Errorf("%v ended with code %d, want 1 and %q:\n%s", arguments, code, remedy, tail(role.output.String(), 10))
		}
	}
}

// A database whose encoding lacks characters would dead-letter valid readings. Every role refuses it.
func TestDatabaseWithoutUTF8IsRefused(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	server := sharedDatabase(t)
	for _, encoding := range []string{"EUC_JP", "LATIN1"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			name := strings.ReplaceAll(f.topic, "-", "_") + "_" + strings.ToLower(encoding)
			if _, err := f.pool.Exec(t.Context(), fmt.Sprintf(`CREATE DATABASE %s ENCODING '%s' LOCALE 'C' TEMPLATE template0`, name, encoding)); err != nil {
				t.Fatal(err)
			}
			f.wantRolesRefused(server.url(name), "has the encoding "+encoding+", which cannot hold every message: create one with CREATE DATABASE")
		})
	}
}

// A pooler in transaction mode loses a session's prepared statements, settings and locks. Every role refuses it.
func TestPoolerInTransactionModeIsRefused(t *testing.T) {
	t.Parallel()
	proves(t, "P5")
	f := newFixture(t)
	f.wantRolesRefused(pgbouncer.Start(t, f.database, "transaction"), "set pool_mode = session")
}

// A pooler in session mode needs no settings for the consumer, the console and the audit, in a schema of their own too.
func TestPoolerInSessionMode(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	f := &fixture{t: t, broker: sharedBroker(t).address(), database: sharedDatabase(t).create(t), schema: "ward_a"}
	f.setUp()
	f.consumerDatabase = pgbouncer.Start(t, f.database, "session")
	producer := f.produce("--rate", "1000", "--seed", "76")
	consumer, console := f.consume(), f.serve()
	f.storedMore(2_000)
	console.waitReady()
	producer.interrupt()
	f.caughtUp(waitTimeout)
	console.interrupt()
	consumer.interrupt()
	verify := start(t, command{arguments: []string{"verify", "--brokers", f.broker, "--topic", f.topic}, environment: f.environment(f.consumerDatabase)})
	verify.succeed(waitTimeout)
	auditSending(t, f.audit())
}
