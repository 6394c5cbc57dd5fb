package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"heartbeat/internal/testkit/child"
	"heartbeat/internal/testkit/freeport"
)

func TestPostgresOfAKilledRunIsReplaced(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	run, url := child.Start(t, "server", dir, 0)
	execute(t, url, fill)
	child.Kill(t, run)
	p := startTest(t, testOptions(dir))
	if got := query(t, p.URL(), count); got != "1000" {
		t.Errorf("after the run was killed there are %s rows, want 1000", got)
	}
}

func TestAServerLeftBehindIsStopped(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	stopTest(t, startTest(t, options))
	left := leaveBehind(t, options)
	p := startTest(t, options)
	if runs(left) {
		t.Errorf("process %d, left behind on the same data, still runs", left)
	}
	if got := query(t, p.URL(), "SELECT 'alive'"); got != "alive" {
		t.Errorf("got %q", got)
	}
}

// leaveBehind runs a server as Start does, but one that nothing ties to us, and returns its process id.
func leaveBehind(t *testing.T, options Options) int {
	t.Helper()
	data := filepath.Join(options.Dir, "data")
	c := &cluster{dir: data, options: options, account: serverAccount(data), log: testLogger(t)}
	found, ok := newest(t.Context(), c.majorOnDisk())
	if !ok {
		t.Fatal("no server of this version on this machine")
	}
	cmd := exec.Command(filepath.Join(found.dir, "postgres"), c.arguments(freeport.Port(t))...)
	cmd.Dir, cmd.Env = options.Dir, serverEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.account.credential()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go cmd.Wait() // so that it does not stay a zombie
	await(t, "the server to leave behind is ready", func() bool {
		pid, ok := c.readPidFile()
		return ok && pid.ready && pid.pid == cmd.Process.Pid
	})
	return cmd.Process.Pid
}

func TestAStalePidFileIsPassedOver(t *testing.T) {
	t.Parallel()
	options := testOptions(directory(t))
	stopTest(t, startTest(t, options))

	// Another server of the same user has the number that the file names: PostgreSQL alone would refuse to start.
	other := startTest(t, testOptions(""))
	data := filepath.Join(options.Dir, "data")
	stale := fmt.Sprintf("%d\n%s\n1700000000\n5433\n\n127.0.0.1\n  1 2\nready   \n", other.process.Pid(), data)
	name := filepath.Join(data, "postmaster.pid")
	if err := os.WriteFile(name, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := serverAccount(data); a != nil {
		if err := os.Chown(name, int(a.uid), int(a.gid)); err != nil {
			t.Fatal(err)
		}
	}
	startTest(t, options)
	if got := query(t, other.URL(), "SELECT 'alive'"); got != "alive" {
		t.Error("the other server was disturbed")
	}
}

func TestAnUnfinishedClusterIsStartedOver(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	unfinished := filepath.Join(dir, "data.new")
	if err := os.MkdirAll(unfinished, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unfinished, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startTest(t, testOptions(dir))
	if got := query(t, p.URL(), "SELECT 'alive'"); got != "alive" {
		t.Errorf("got %q", got)
	}
	left, err := filepath.Glob(filepath.Join(dir, "data.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the data directory: %v, %v", left, err)
	}
}
