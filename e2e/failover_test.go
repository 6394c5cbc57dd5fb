package e2e_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"heartbeat/internal/testkit/freeport"
)

// failoverWithin is how long the first reading may take to be stored after the new primary accepts writes.
const failoverWithin = 5 * time.Second

// startStandby copies the primary and starts the copy as a hot standby.
func startStandby(t testing.TB, primary *postgresServer) *postgresServer {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "standby-")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(primary.options.Dir, "data")
	owner, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	stat := owner.Sys().(*syscall.Stat_t)
	if err := os.Chown(dir, int(stat.Uid), int(stat.Gid)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	programs := value[string](t, connect(t, primary.url("postgres")), `SELECT setting FROM pg_config() WHERE name = 'BINDIR'`)
	backup := exec.CommandContext(t.Context(), filepath.Join(programs, "pg_basebackup"), "--pgdata", filepath.Join(dir, "data"), "--checkpoint=fast",
		"--wal-method=stream", "--write-recovery-conf", "--dbname", primary.url("postgres"))
	if os.Geteuid() == 0 {
		backup.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}}
	}
	backup.Dir = dir
	if output, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, output)
	}
	return startCopy(t, primary, dir)
}

// startCopy runs the copied data. pgserver cannot: it creates user and database in single-user mode, which a standby refuses.
func startCopy(t testing.TB, primary *postgresServer, dir string) *postgresServer {
	t.Helper()
	copied := &postgresServer{options: primary.options}
	copied.options.Dir, copied.options.Port = dir, freeport.Port(t)
	programs := value[string](t, connect(t, primary.url("postgres")), `SELECT setting FROM pg_config() WHERE name = 'BINDIR'`)
	server := exec.Command(filepath.Join(programs, "postgres"), "-D", filepath.Join(dir, "data"), "-c", "port="+strconv.Itoa(copied.options.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "hot_standby=on", "-c", "max_connections=200")
	server.Dir = dir
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if info, err := os.Stat(dir); err == nil && os.Geteuid() == 0 {
		stat := info.Sys().(*syscall.Stat_t)
		server.SysProcAttr.Credential = &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
	}
	log := &outputBuffer{}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatalf("start the standby: %v", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
	})
	pool := connect(t, copied.url("postgres"))
	await(t, waitTimeout, func() string {
		var recovering bool
		if err := pool.QueryRow(t.Context(), `SELECT pg_is_in_recovery()`).Scan(&recovering); err != nil || !recovering {
			return fmt.Sprintf("the standby does not answer (%v):\n%s", err, tail(log.String(), 10))
		}
		return ""
	})
	return copied
}

// promote makes the standby a primary, and returns once it accepts writes.
func (s *postgresServer) promote(t testing.TB) time.Time {
	t.Helper()
	if !value[bool](t, connect(t, s.url("postgres")), `SELECT pg_promote(true, 60)`) {
		t.Fatal("the standby is not promoted within 60 s")
	}
	return time.Now()
}

// switchTo sends new connections to another server and closes all others.
func (p *proxy) switchTo(server *postgresServer) {
	p.mu.Lock()
	p.target = "127.0.0.1:" + strconv.Itoa(server.options.Port)
	p.mu.Unlock()
	p.cut()
}

// failover is a fixture on a primary whose standby confirms every commit, so that a failover loses none, and the load on it.
type failover struct {
	*fixture
	primary, standby   *postgresServer
	proxy              *proxy // of consumers, where the scenario has one
	producer, consumer *role
}

func newFailover(t *testing.T) *failover {
	t.Helper()
	primary := ownDatabase(t, nil)
	f := &failover{fixture: newFixtureOn(t, sharedBroker(t).address(), primary), primary: primary, standby: startStandby(t, primary)}
	f.alterPrimary("synchronous_standby_names = '*'")
	admin := connect(t, primary.url("postgres"))
	await(t, waitTimeout, func() string {
		if value[int64](t, admin, `SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`) == 0 {
			return "the standby does not confirm commits"
		}
		return ""
	})
	return f
}

// alterPrimary changes a setting of the primary while it runs.
func (f *failover) alterPrimary(setting string) {
	f.t.Helper()
	admin := connect(f.t, f.primary.url("postgres"))
	for _, statement := range []string{`ALTER SYSTEM SET ` + setting, `SELECT pg_reload_conf()`} {
		if _, err := admin.Exec(f.t.Context(), statement); err != nil {
			f.t.Fatal(err)
		}
	}
}

// runFailover runs a scenario: connect chooses how consumers reach the servers, and happen is what happens under load. Afterwards
// everything is stored once, and no partition has waited for a person.
func runFailover(t *testing.T, scenario, seed string, connect, happen func(*failover)) {
	t.Helper()
	proves(t, "P1, P4, P5")
	runRounds(t, scenario, func(t *testing.T) *fixture {
		f := newFailover(t)
		connect(f)
		f.producer = f.produce("--rate", "1000", "--seed", seed)
		f.consumer = f.consume()
		f.storedMore(2_000)
		happen(f)
		f.storedMore(1_000)
		f.producer.interrupt()
		f.caughtUp(waitTimeout)
		f.consumer.interrupt()
		if count := f.consumer.outputCount("a person must repair the cause"); count > 0 {
			t.Errorf("a failover stopped a partition %d times for a person to repair it", count)
		}
		auditSending(t, f.audit())
		f.wantNoDeadLetters()
		return f.withFaults(1)
	})
}

// failOver takes the primary away, promotes the standby, and waits until readings are stored there.
func (f *failover) failOver(takeAway func()) (promoted time.Time) {
	f.t.Helper()
	name, err := url.Parse(f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	takeAway()
	promoted = f.standby.promote(f.t)
	f.database = f.standby.url(name.Path[1:])
	f.pool = connect(f.t, f.database)
	stored := f.stored()
	await(f.t, waitTimeout, func() string {
		if f.stored() == stored {
			return "nothing is stored on the new primary"
		}
		return ""
	})
	blind := f.wantWithin(promoted, "stored on the new primary")
	f.addBlind(blind)
	return promoted
}

// wantWithin wants something that has just been seen to come in time after the promotion.
func (f *failover) wantWithin(promoted time.Time, what string) time.Duration {
	f.t.Helper()
	took := time.Since(promoted)
	f.t.Logf("%s %v after it accepts writes", what, took.Round(time.Millisecond))
	if took > failoverWithin {
		f.t.Errorf("%s %v after it accepts writes, want at most %v", what, took, failoverWithin)
	}
	return took
}

// bothHosts returns a URL that names two servers.
func (f *failover) bothHosts(first, second *postgresServer) string {
	f.t.Helper()
	both, err := url.Parse(f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	both.Host = fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", first.options.Port, second.options.Port)
	return both.String()
}

func (f *failover) throughProxy() { f.proxy = f.useProxy() }

// The address of the database moves from a crashed primary to its standby, which is promoted afterwards.
func TestFailoverBehindOneAddress(t *testing.T) {
	t.Parallel()
	runFailover(t, "PostgreSQL failed over behind one address", "70", (*failover).throughProxy, func(f *failover) {
		f.failOver(func() {
			f.primary.crash(f.t)
			f.proxy.switchTo(f.standby)
		})
	})
}

// One URL names both servers. The console goes on as the consumer does, and what is run once succeeds on the new primary.
func TestFailoverBetweenTwoHosts(t *testing.T) {
	t.Parallel()
	connect := func(f *failover) { f.consumerDatabase = f.bothHosts(f.standby, f.primary) }
	runFailover(t, "PostgreSQL failed over between two hosts of one URL", "71", connect, func(f *failover) {
		console := f.serve()
		console.waitReady()
		promoted := f.failOver(func() { f.primary.crash(f.t) })
		f.wantOtherRolesReady(console, promoted)
	})
}

// A switchover: the old primary lives on, read-only, as the first host of the URL.
func TestSwitchoverWithTheOldPrimaryAlive(t *testing.T) {
	t.Parallel()
	connect := func(f *failover) { f.consumerDatabase = f.bothHosts(f.primary, f.standby) }
	runFailover(t, "PostgreSQL switched over, the old primary alive and read-only", "73", connect, func(f *failover) {
		console := f.serve()
		console.waitReady()
		var early *role
		promoted := f.failOver(func() {
			f.alterPrimary("default_transaction_read_only = on")
			f.consumer.waitForOutput("store unavailable") // the last transaction that writes has ended, and the standby has it
			early = start(f.t, command{arguments: []string{"migrate"}, environment: f.environment(f.consumerDatabase)})
			early.waitForOutput("database not reachable")
		})
		f.wantOtherRolesReady(console, promoted)
		early.succeed(waitTimeout) // begun while no server accepted writes
	})
}

// wantOtherRolesReady wants the console to be ready in time after the promotion, and the roles that end by themselves to succeed
// with the consumer's URL.
func (f *failover) wantOtherRolesReady(console *console, promoted time.Time) {
	f.t.Helper()
	console.waitReady()
	f.wantWithin(promoted, "console ready")
	for _, arguments := range [][]string{{"migrate"}, {"verify", "--brokers", f.broker, "--topic", f.topic}} {
		start(f.t, command{arguments: arguments, environment: f.environment(f.consumerDatabase)}).succeed(waitTimeout)
	}
	f.t.Logf("migrated and verified %v after it accepts writes", time.Since(promoted).Round(time.Millisecond))
	console.interrupt()
}

// The address names a standby for a while, which accepts no writes, and then the primary again.
func TestAddressOfAStandbyForAWhile(t *testing.T) {
	t.Parallel()
	runFailover(t, "PostgreSQL's address named a standby for 12 s", "72", (*failover).throughProxy, func(f *failover) {
		f.proxy.switchTo(f.standby)
		elapse(f.t, 12*time.Second)
		f.proxy.switchTo(f.primary)
		back := outage{time.Now(), f.stored()}
		f.waitStoredAgain(back)
		blind := time.Since(back.began)
		f.t.Logf("stored again %v after the address names the primary", blind.Round(time.Millisecond))
		if blind > failoverWithin {
			f.t.Errorf("stored again after %v, want at most %v", blind, failoverWithin)
		}
	})
}
