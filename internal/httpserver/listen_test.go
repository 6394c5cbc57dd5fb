package httpserver_test

import (
	"net"
	"strings"
	"testing"

	"heartbeat/internal/httpserver"
)

func TestListenRefusesWhatOthersCouldReachWithoutToken(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:0"} {
		listener, err := httpserver.Listen(httpserver.Address{Asked: address, Default: 8080})
		if err == nil {
			listener.Close()
			t.Errorf("Listen(%q) without token was allowed", address)
		} else if !strings.Contains(err.Error(), "HEARTBEAT_TOKEN") {
			t.Errorf("Listen(%q): %v does not say what to set", address, err)
		}
	}
	listener, err := httpserver.Listen(httpserver.Address{Asked: "0.0.0.0:0", Open: true})
	if err != nil {
		t.Fatalf("Listen on all addresses with a token: %v", err)
	}
	listener.Close()
}

func TestListenNamesWhatIsWrongWithAnAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"8080", "localhost", "localhost:http", "localhost:99999"} {
		if listener, err := httpserver.Listen(httpserver.Address{Asked: address, Default: 8080}); err == nil {
			listener.Close()
			t.Errorf("Listen(%q) was allowed", address)
		}
	}
}

func TestListenLeavesATakenPortThatWasAskedFor(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if listener, err := httpserver.Listen(httpserver.Address{Asked: taken.Addr().String()}); err == nil {
		listener.Close()
		t.Error("a taken port was given up for another although it was asked for")
	} else if !strings.Contains(err.Error(), "in use") {
		t.Errorf("the error does not say that the port is in use: %v", err)
	}
}

func TestListenMovesOnFromATakenDefault(t *testing.T) {
	t.Parallel()
	first, err := httpserver.Listen(httpserver.Address{Default: 8080})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := httpserver.Listen(httpserver.Address{Default: 8080})
	if err != nil {
		t.Fatalf("with %s taken: %v", first.Addr(), err)
	}
	defer second.Close()
	if first.Addr().String() == second.Addr().String() {
		t.Errorf("two listeners on %s", first.Addr())
	}
}
