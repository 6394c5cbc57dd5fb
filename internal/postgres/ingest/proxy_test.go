package ingest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/postgres/pgtest"
)

// proxy stands between a store and the server and does to a connection what networks and kernels do: it cuts it off or
// stops it when the client says a certain word.
type proxy struct {
	listener net.Listener
	server   string
	address  string // for a pool
	group    sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	word  []byte
	act   action

	frozen chan struct{} // closed when it has stopped
	cold   chan struct{} // closed by thaw
}

type action int

const (
	pass         action = iota
	cutBefore           // the server gets what comes before the word, and nothing more
	cutAfter            // the server gets it, and its answer goes astray
	freezeBehind        // the server gets the statement of that name and nothing more until thaw
)

func newProxy(t testing.TB, pool *pgxpool.Pool, changes ...func(*url.URL)) *proxy {
	t.Helper()
	address, err := url.Parse(pgtest.URL(pool))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: address.Host, conns: map[net.Conn]bool{}, frozen: make(chan struct{}), cold: make(chan struct{})}
	for _, change := range changes {
		change(address)
	}
	address.Host = listener.Addr().String()
	p.address = address.String()
	p.group.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// store returns a Store whose sessions go through the proxy.
func (p *proxy) store(t testing.TB) *ingest.Store {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: p.address, Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pgtest.NewStoreOn(pool)
}

func (p *proxy) at(word string, act action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.word, p.act = []byte(word), act
}

func (p *proxy) thaw() {
	p.at("", pass)
	close(p.cold)
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		answers := make(chan struct{}) // closed where answers go astray
		p.group.Go(func() { p.forward(client, server, answers) })
		p.group.Go(func() { backward(server, client, answers) })
	}
}

// forward carries what the client says. A message that matters to a test arrives in one piece: it is short and flushed.
func (p *proxy) forward(client, server net.Conn, answers chan struct{}) {
	defer server.Close()
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if !p.carry(buffer[:n], server, answers) {
			return
		}
	}
}

func (p *proxy) carry(said []byte, server net.Conn, answers chan struct{}) (open bool) {
	p.mu.Lock()
	at, act := -1, p.act
	if act != pass {
		at = bytes.Index(said, p.word)
	}
	p.mu.Unlock()
	if at < 0 {
		_, err := server.Write(said)
		return err == nil
	}
	p.at("", pass)
	switch act {
	case cutBefore:
		_, _ = server.Write(said[:at])
	case cutAfter:
		close(answers)
		_, _ = server.Write(said)
		// The server closes the connection once it has done what it was told.
		_, _ = server.Write([]byte{'X', 0, 0, 0, 4})
		_, _ = io.Copy(io.Discard, server)
	case freezeBehind:
		end := at - 4 // where Bind, which has the name, tells its length
		end += int(binary.BigEndian.Uint32(said[end:]))
		end += 1 + int(binary.BigEndian.Uint32(said[end+1:])) // Execute
		_, _ = server.Write(said[:end])
		close(p.frozen)
		<-p.cold
		_, err := server.Write(said[end:])
		return err == nil
	}
	return false
}

// backward carries the answers until they are to go astray.
func backward(server, client net.Conn, answers <-chan struct{}) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		select {
		case <-answers:
			_, _ = io.Copy(io.Discard, server)
			return
		default:
		}
		if err != nil {
			client.Close()
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}
