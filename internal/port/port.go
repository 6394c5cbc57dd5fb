// Package port chooses ports to listen on and knows which addresses only this machine can reach.
//
// A chosen port is free at that moment and not reserved, so a caller tries again when its server finds the port taken. The
// package refuses to look anywhere but at this machine. It keeps no state: its functions may be called from any
// goroutine. It is not on the path of a reading; the console, the probes, internal/embedded and the test brokers use it.
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Host is the address that everything embedded listens on.
const Host = "127.0.0.1"

const (
	// following is how many ports after a taken default are tried.
	following = 100
	// Any free port is taken from below those that systems hand to outgoing connections: in there a client that knocks at a
	// stopped server's port can be given that very port, and talks to itself.
	lowest, highest = 15_000, 32_000
	attempts        = 1_000

	looks, lookAgain = 5, 20 * time.Millisecond
)

// Choose returns the port to listen on: any free one for 0, the port itself where it is free, and otherwise the next
// free one, unless the port was asked for.
func Choose(port int, asked bool) (int, error) {
	if port == 0 {
		return free()
	}
	last := min(port+following, 65535)
	for next := port; next <= last; next++ {
		err := Probe(next)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, fmt.Errorf("use port %d: %w", next, err)
		}
		if asked {
			return 0, inUse(port)
		}
	}
	return 0, fmt.Errorf("ports %d to %d are all in use: choose another port", port, last)
}

func inUse(port int) error {
	return fmt.Errorf("port %d is in use: `lsof -nP -iTCP:%d -sTCP:LISTEN` names the program; stop it, or choose another port", port, port)
}

func free() (int, error) {
	var err error
	for range attempts {
		port := lowest + rand.IntN(highest-lowest)
		if err = Probe(port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

// Probe reports whether one could listen on the port. It looks at IPv6 too: "localhost" may mean either address, and a client
// must not meet a stranger there.
//
// A port that seems taken is looked at again: a child that this process is just forking holds a copy of every socket, of
// a probe of a moment ago too, until it has become another program.
func Probe(port int) error {
	for attempt := 1; ; attempt++ {
		err := probe(port)
		if attempt == looks || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		time.Sleep(lookAgain)
	}
}

func probe(port int) error {
	for _, host := range []string{Host, "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			listener.Close()
		} else if host == Host || errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return nil
}

// Listen listens on the chosen port of the loopback address, and chooses again when another program takes it just before.
func Listen(port int, asked bool) (net.Listener, error) {
	for {
		chosen, err := Choose(port, asked)
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", Address(chosen))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
}

// ListenOn listens on exactly this port of a host, which may be any address of this machine.
func ListenOn(host string, port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, inUse(port)
	}
	return listener, err
}

// Loopback reports whether a host, without a port, is localhost or a loopback address in digits. It does not ask DNS.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// Address returns host and port for clients.
func Address(port int) string { return net.JoinHostPort(Host, strconv.Itoa(port)) }
