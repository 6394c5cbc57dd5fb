package port

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestChooseOfATakenPort(t *testing.T) {
	t.Parallel()
	for _, host := range []string{Host, "0.0.0.0", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			taken := occupy(t, host)
			next, err := Choose(taken, false)
			if err != nil || next <= taken {
				t.Errorf("default port %d is taken: got %d, %v; want a later one", taken, next, err)
			}
			_, err = Choose(taken, true)
			if err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(taken)+" is in use") {
				t.Errorf("port %d was asked for and is taken: got %v, want an error that says so", taken, err)
			}
		})
	}
}

func TestChooseKeepsAFreePort(t *testing.T) {
	t.Parallel()
	free, err := Choose(0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range []bool{true, false} {
		if got, err := Choose(free, asked); err != nil || got != free {
			t.Errorf("Choose(%d, %t) = %d, %v; want the free port itself", free, asked, got, err)
		}
	}
}

func TestChooseRefusesWhatIsNoPort(t *testing.T) {
	t.Parallel()
	if got, err := Choose(70_000, false); err == nil {
		t.Errorf("Choose(70000) = %d, want an error", got)
	}
}

// occupy listens on a free port and returns it.
func occupy(t *testing.T, host string) int {
	t.Helper()
	for {
		free, err := Choose(0, false)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(free)))
		if err != nil {
			t.Logf("port %d is gone: %v", free, err)
			continue
		}
		t.Cleanup(func() { listener.Close() })
		return free
	}
}

func TestLoopbackKnowsTheAddressesOfThisMachineAlone(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "10.0.0.1": false, "::": false, "localhost.example.org": false, "[]": false,
	} {
		if got := Loopback(host); got != want {
			t.Errorf("Loopback(%q) is %t, want %t", host, got, want)
		}
	}
}
