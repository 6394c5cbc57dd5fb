package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Host is the address that everything here listens on.
const Host = "127.0.0.1"

// nextPorts is how many ports after a taken default are tried.
const nextPorts = 100

// choosePort returns the port to listen on: any free one for 0, the port itself where it is free, and otherwise the next
// free one, unless the port was asked for.
func choosePort(port int, asked bool) (int, error) {
	if port == 0 {
		return anyPort()
	}
	last := min(port+nextPorts, 65535)
	for next := port; next <= last; next++ {
		err := probePort(next)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, fmt.Errorf("use port %d: %w", next, err)
		}
		if asked {
			return 0, fmt.Errorf("port %d is in use: `lsof -nP -iTCP:%d -sTCP:LISTEN` names the program; stop it, or choose another port", port, port)
		}
	}
	return 0, fmt.Errorf("ports %d to %d are all in use: choose another port", port, last)
}

func anyPort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(Host, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// probePort tells whether we could listen on the port. It looks at IPv6 too: "localhost" may mean either address, and a
// client must not meet a stranger there.
func probePort(port int) error {
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
