// Package child runs the test binary a second time, as a process that the test may kill: what must survive the death of its
// process can only be tested on a process.
//
// It refuses to be used outside tests. A child belongs to the test that started it and is killed at its end. It is not on
// the path of a reading.
package child

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The variables that tell a child what to do, where, and on which port.
const (
	nameVariable = "HEARTBEAT_TEST_CHILD"
	dirVariable  = "HEARTBEAT_TEST_DIR"
	portVariable = "HEARTBEAT_TEST_PORT"
)

// Functions are what a test binary can do as a child, by name. Each starts something in a directory, on a port where it needs
// one, and returns what to print when that is ready. The child then lives until it is killed.
type Functions map[string]func(dir string, port int) (ready string, err error)

// Main runs the tests, or one of the functions in a child. Call it from TestMain.
func Main(m *testing.M, functions Functions) {
	start := functions[os.Getenv(nameVariable)]
	if start == nil {
		os.Exit(m.Run())
	}
	port, err := strconv.Atoi(os.Getenv(portVariable))
	var ready string
	if err == nil {
		ready, err = start(os.Getenv(dirVariable), port)
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(ready)
	select {} // until killed
}

// Start runs one of the functions in a child and returns what it printed when it was ready.
func Start(t *testing.T, name, dir string, port int) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), nameVariable+"="+name, dirVariable+"="+dir, portVariable+"="+strconv.Itoa(port))
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error:") {
		t.Fatalf("start %s in a child process: %v %s", name, err, line)
	}
	t.Cleanup(func() { Kill(t, cmd) })
	return cmd, strings.TrimSpace(line)
}

// Kill kills a child and waits for its end. A second call does nothing.
func Kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
}
