//go:build containers

package deploy_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// scripts/test-containers sets these, and runs the test in a network of its own in which kafka and postgres are names of
// this machine. There the addresses and ports are those of compose.yaml to the letter.
const (
	engineVariable = "HEARTBEAT_TEST_ENGINE" // podman with its options
	imageVariable  = "HEARTBEAT_TEST_IMAGE"
	jarsVariable   = "HEARTBEAT_TEST_KAFKA" // directory of Apache Kafka's jars
)

// Every role runs from the image as compose.yaml has it: its user, its read-only file system, its environment, its
// command, its health check and its time to stop; against Apache Kafka and PostgreSQL with the settings that compose.yaml gives those.
func TestEveryRoleRunsInItsContainer(t *testing.T) {
	services := loadCompose(t).Services
	startKafka(t, services["kafka"])
	createTopic(t, services["topic"])
	startPostgres(t, services["postgres"])
	e := engine{t: t, options: strings.Fields(os.Getenv(engineVariable)), image: os.Getenv(imageVariable)}

	e.run("migrate", services["migrate"])
	e.run("migrate again", services["migrate"])
	for _, name := range []string{"consume", "produce", "serve", "notify", "ingest"} {
		e.start(name, services[name])
	}
	for _, name := range []string{"consume", "produce", "serve", "notify", "ingest"} {
		e.awaitHealth(name, services[name].HealthCheck)
		checkLocked(t, name, e.pid(name))
	}
	e.stop("produce", services["produce"])

	e.run("a burst", with(services["produce"], "produce", "--rate=1000", "--max-events=2000"))
	e.run("catch up", with(services["consume"], "consume", "--until-caught-up", "--metrics-address=none"))
	for _, command := range [][]string{{"verify"}, {"doctor"}, {"partitions"}, {"deadletter", "list"}, {"version"}} {
		out := e.run(command[0], with(services["serve"], command...))
		t.Logf("%s:\n%s", command[0], out)
	}
	e.stop("consume", services["consume"])
	e.stop("notify", services["notify"])
	e.stop("ingest", services["ingest"])
	e.stop("serve", services["serve"])
}

// with is a service that runs another command. The doctor and others look at the database and Kafka as the console does.
func with(service types.ServiceConfig, command ...string) types.ServiceConfig {
	service.Command = command
	return service
}

// engine runs containers.
type engine struct {
	t       *testing.T
	options []string
	image   string
}

func (e engine) command(args ...string) ([]byte, error) {
	return exec.CommandContext(e.t.Context(), e.options[0], slices.Concat(e.options[1:], args)...).CombinedOutput()
}

// arguments are those of a container that is like the service. The limits of processes and files are what runc can grant
// where it may not raise its own.
func (e engine) arguments(service types.ServiceConfig) []string {
	args := []string{"--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--user=" + service.User}
	if service.ReadOnly {
		args = append(args, "--read-only", "--read-only-tmpfs=false")
	}
	for _, capability := range service.CapDrop {
		args = append(args, "--cap-drop="+capability)
	}
	for _, option := range service.SecurityOpt {
		args = append(args, "--security-opt="+strings.TrimSuffix(option, ":true"))
	}
	for name, value := range service.Environment {
		args = append(args, "--env="+name+"="+*value)
	}
	return append(append(args, e.image), service.Command...)
}

// run runs a service that ends by itself, and returns what it said.
func (e engine) run(what string, service types.ServiceConfig) string {
	e.t.Helper()
	out, err := e.command(append([]string{"run", "--rm"}, e.arguments(service)...)...)
	if err != nil {
		e.t.Fatalf("%s: %v\n%s", what, err, out)
	}
	return string(out)
}

func (e engine) start(name string, service types.ServiceConfig) {
	e.t.Helper()
	if out, err := e.command(append([]string{"run", "--detach", "--name=" + name}, e.arguments(service)...)...); err != nil {
		e.t.Fatalf("start %s: %v\n%s", name, err, out)
	}
	e.t.Cleanup(func() {
		if e.t.Failed() {
			logs, _ := exec.Command(e.options[0], append(slices.Clone(e.options[1:]), "logs", name)...).CombinedOutput()
			e.t.Logf("%s said:\n%s", name, logs)
		}
	})
}

// awaitHealth runs the health check that compose.yaml names until it passes.
func (e engine) awaitHealth(name string, check *types.HealthCheckConfig) {
	e.t.Helper()
	var said []byte
	await(e.t, name+" is healthy", func() (err error) {
		said, err = e.command(append([]string{"exec", name}, check.Test[1:]...)...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
		return nil
	})
}

func (e engine) pid(name string) int {
	e.t.Helper()
	out, err := e.command("inspect", name, "--format={{.State.Pid}}")
	pid, atoi := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || atoi != nil {
		e.t.Fatalf("inspect %s: %v %v\n%s", name, err, atoi, out)
	}
	return pid
}

// stop asks a service to end, which it does in order within its time.
func (e engine) stop(name string, service types.ServiceConfig) {
	e.t.Helper()
	grace := time.Duration(*service.StopGracePeriod)
	if out, err := e.command("stop", "--time="+strconv.Itoa(int(grace.Seconds())), name); err != nil {
		e.t.Fatalf("stop %s: %v\n%s", name, err, out)
	}
	out, err := e.command("inspect", name, "--format={{.State.ExitCode}}")
	if code := strings.TrimSpace(string(out)); err != nil || code != "0" {
		e.t.Errorf("%s ended with code %s (%v)", name, code, err)
	}
}

// checkLocked asks the kernel what a container's process may do.
func checkLocked(t *testing.T, name string, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Uid:\t65532\t65532", "Gid:\t65532\t65532", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !bytes.Contains(status, []byte("\n"+line)) {
			t.Errorf("%s: its process is not of %q:\n%s", name, line, status)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); fields[4] == "/" && !slices.Contains(strings.Split(fields[5], ","), "ro") {
			t.Errorf("%s: its root is not read-only: %s", name, line)
		}
	}
}

// await tries until it succeeds.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline, ticker := time.Now().Add(90*time.Second), time.NewTicker(200*time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 90 s: %v", what, err)
		}
		<-ticker.C
	}
}

func awaitPort(t *testing.T, address string) {
	t.Helper()
	await(t, address+" answers", func() error {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// directory is one that the server's user may pass.
func directory(t *testing.T) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{path, filepath.Dir(path)} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
