package web

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// DefaultAddress is where the console listens unless told otherwise.
const DefaultAddress = "127.0.0.1:8080"

// nextPorts is how many ports after the taken default are tried.
const nextPorts = 100

// Listen binds the console's address, DefaultAddress when empty. An address that other machines can reach is refused without
// a token. A taken default port gives way to the next free one; a port that was asked for does not.
func Listen(address, token string) (net.Listener, error) {
	asked := address != ""
	if !asked {
		address = DefaultAddress
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want host:port such as %s", address, DefaultAddress)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: the port is not a number from 0 to 65535", address)
	}
	if token == "" && !loopback(host) {
		return nil, fmt.Errorf("listen on %s: other machines could reach it, and there is no token: "+
			"set HEARTBEAT_TOKEN, or listen on %s", address, DefaultAddress)
	}
	return bind(host, int(port), asked)
}

func bind(host string, port int, asked bool) (net.Listener, error) {
	for next := port; ; next++ {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(next)))
		switch {
		case err == nil:
			return listener, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("listen for the console: %w", err)
		case asked:
			return nil, fmt.Errorf("listen for the console: port %d is in use: "+
				"`lsof -nP -iTCP:%d -sTCP:LISTEN` names the program; stop it, or choose another port", port, port)
		case next == port+nextPorts:
			return nil, fmt.Errorf("listen for the console: ports %d to %d are all in use: choose another", port, next)
		}
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
