//go:build containers

package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// startKafka runs Apache Kafka on this machine with the settings that the service gives the image.
func startKafka(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	dir := directory(t)
	settings := strings.Builder{}
	for name, value := range service.Environment {
		property, ours := strings.CutPrefix(name, "KAFKA_")
		if !ours || name == "KAFKA_HEAP_OPTS" || name == "KAFKA_LOG_DIRS" {
			continue
		}
		// As the image does it.
		fmt.Fprintf(&settings, "%s=%s\n", strings.ReplaceAll(strings.ToLower(property), "_", "."), *value)
	}
	fmt.Fprintf(&settings, "log.dirs=%s\n", filepath.Join(dir, "data"))
	file := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(file, []byte(settings.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	java(t, "kafka.tools.StorageTool", "format", "--cluster-id", *service.Environment["CLUSTER_ID"], "--config", file)
	launch(t, exec.Command("java", javaArguments("kafka.Kafka", file)...), syscall.SIGKILL)
	awaitPort(t, "kafka:9093")
	awaitPort(t, "localhost:9092")
}

// createTopic does what the service does, with the same arguments.
func createTopic(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	java(t, "org.apache.kafka.tools.TopicCommand", service.Command...)
	java(t, "org.apache.kafka.tools.TopicCommand", service.Command...) // at every start of the project
}

func java(t *testing.T, class string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "java", javaArguments(class, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", class, err, out)
	}
}

func javaArguments(class string, args ...string) []string {
	return append([]string{
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", filepath.Join(os.Getenv(jarsVariable), "*"), class,
	}, args...)
}

// startPostgres runs this machine's PostgreSQL with the arguments, the database and the user of the service, and with its
// health check.
func startPostgres(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	binaries, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(binaries) == 0 {
		t.Fatalf("PostgreSQL is missing: apt-get install postgresql (%v)", err)
	}
	bin := binaries[len(binaries)-1]
	dir := directory(t)
	account := postgresAccount(t)
	if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(*service.Environment["POSTGRES_PASSWORD"]), 0o644); err != nil {
		t.Fatal(err)
	}
	as := func(program string, args ...string) *exec.Cmd {
		command := exec.Command(filepath.Join(bin, program), args...)
		command.Dir = dir
		command.SysProcAttr = &syscall.SysProcAttr{Credential: account}
		for name, value := range service.Environment {
			command.Env = append(command.Env, name+"="+*value)
		}
		command.Env = append(command.Env, "PATH="+bin+":/usr/bin:/bin", "PGPASSWORD="+*service.Environment["POSTGRES_PASSWORD"])
		return command
	}
	data, owner := filepath.Join(dir, "data"), *service.Environment["POSTGRES_USER"]
	initialize := append([]string{"--pgdata=" + data, "--username=" + owner, "--pwfile=" + secret}, strings.Fields(*service.Environment["POSTGRES_INITDB_ARGS"])...)
	if out, err := as("initdb", initialize...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	launch(t, as(service.Command[0], append(service.Command[1:], "-D", data, "-k", dir)...), syscall.SIGINT)
	await(t, "PostgreSQL is healthy", func() error {
		check := as("psql")
		check.Path, check.Args = "/bin/sh", []string{"sh", "-c", service.HealthCheck.Test[1]}
		out, err := check.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if out, err := as("createdb", "--host=postgres", "--username="+owner, *service.Environment["POSTGRES_DB"]).CombinedOutput(); err != nil {
		t.Fatalf("createdb: %v\n%s", err, out)
	}
}

func postgresAccount(t *testing.T) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32) // digits on Linux
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// launch runs a server until the end of the test.
func launch(t *testing.T, command *exec.Cmd, end syscall.Signal) {
	t.Helper()
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(end)
		err := command.Wait()
		if t.Failed() {
			t.Logf("%s: %v\n%s", command.Path, err, said.String())
		}
	})
}
