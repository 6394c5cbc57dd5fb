//go:build linux

package procstat

import (
	"net"
	"os"
	"testing"
	"time"
)

func TestOwnProcessHasTimeAndMemory(t *testing.T) {
	t.Parallel()
	for deadline := time.Now().Add(10 * time.Second); OwnTime() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("this process has used no processor time in ten seconds of work")
		}
	}
	own := OwnTime()
	if family := FamilyTime(os.Getpid()); family < own {
		t.Errorf("a process with its children used %v, less than the process alone, %v", family, own)
	}
	if peak := ResidentPeak(os.Getpid()); peak < 1<<20 || peak > MachineMemory() {
		t.Errorf("this process occupied at most %d bytes of %d", peak, MachineMemory())
	}
	if IdleTime() <= 0 || ProcessorName() == "" {
		t.Errorf("idle %v on %q, want both", IdleTime(), ProcessorName())
	}
}

func TestListenerIsFoundByItsPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if pid := ListenerOf(port); pid != os.Getpid() {
		t.Errorf("process %d listens on port %d, want %d", pid, port, os.Getpid())
	}
	listener.Close()
	if pid := ListenerOf(port); pid != 0 {
		t.Errorf("process %d listens on port %d, want none", pid, port)
	}
}

func TestUnknownProcessHasNothing(t *testing.T) {
	t.Parallel()
	if ProcessTime(0) != 0 || FamilyTime(0) != 0 || ResidentPeak(1<<30) != 0 || PostmasterOf(os.Getpid()) != 0 {
		t.Error("a process that does not exist has figures")
	}
}
