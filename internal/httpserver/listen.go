package httpserver

import (
	"fmt"
	"net"
	"strconv"

	"heartbeat/internal/port"
)

// Address says where a role listens.
type Address struct {
	Asked   string // host:port; empty for the default
	Default int    // port on the loopback address; a taken one gives way to the next free port
	Open    bool   // other machines may reach the server, because it asks for a token
}

// Listen binds an address. An address that other machines can reach is refused unless it is open.
func Listen(address Address) (net.Listener, error) {
	fallback := port.Address(address.Default)
	if address.Asked == "" {
		return port.Listen(address.Default, false)
	}
	host, text, err := net.SplitHostPort(address.Asked)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want host:port such as %s", address.Asked, fallback)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: the port is not a number from 0 to 65535", address.Asked)
	}
	if !address.Open && !port.Loopback(host) {
		return nil, fmt.Errorf("listen on %s: other machines could reach it, and there is neither a token nor a user who could sign in: "+
			"add one with heartbeat user add, set HEARTBEAT_TOKEN, or listen on %s", address.Asked, fallback)
	}
	listener, err := port.ListenOn(host, int(number))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address.Asked, err)
	}
	return listener, nil
}
