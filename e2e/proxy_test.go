package e2e_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy forwards connections between the product and a server and injects network faults. No library can cut a connection
// exactly at COMMIT, before or after the server has executed it.
type proxy struct {
	listener net.Listener
	target   string
	loops    sync.WaitGroup

	mu                sync.Mutex // guards all below
	connections       map[*connection]bool
	closed            bool
	refuseConnections bool          // close new connections at once
	silence           chan struct{} // while not nil, no bytes pass until it is closed
	latency           time.Duration // each way
	rate              int           // bytes a second, each way, of all connections together; 0: no limit
	lineFree          [2]time.Time  // when the last byte has passed, each way
	nextCommit        commitAction  // what happens to the next COMMIT
	hold              bool          // suspend at the next BEGIN
	held              chan struct{} // closed once it has

	cutsBefore, cutsAfter atomic.Int64 // connections cut before and after a COMMIT was executed
	refused               atomic.Int64 // writes that the server refused because of the fence
}

// commitAction is what the proxy does to a COMMIT.
type commitAction int

const (
	passCommit      commitAction = iota
	cutBeforeCommit              // the server does not receive it
	cutAfterCommit               // the server executes it, the client does not receive the reply
)

// connection is one connection through the proxy.
type connection struct {
	client, server net.Conn
	awaitingReply  atomic.Bool // the reply to a COMMIT, to cut at it
}

// startProxy starts a proxy for the target that is stopped with the test.
func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &proxy{listener: listener, target: target, connections: map[*connection]bool{}}
	p.loops.Go(p.accept)
	t.Cleanup(func() {
		p.resume()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		listener.Close()
		p.cut()
		p.loops.Wait()
	})
	return p
}

// urlThrough returns the database's URL with the proxy's address.
func (p *proxy) urlThrough(database string) string {
	address, _ := url.Parse(database) // the test built the URL
	address.Host = p.listener.Addr().String()
	return address.String()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.loops.Go(func() { p.serve(conn) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", target, 10*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	c := &connection{client: client, server: server}
	p.mu.Lock()
	if p.refuseConnections || p.closed {
		p.mu.Unlock()
		return
	}
	p.connections[c] = true
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { p.pump(c, client, server, &p.lineFree[0], p.inspectRequest) })
	ways.Go(func() { p.pump(c, server, client, &p.lineFree[1], p.inspectReply) })
	ways.Wait()
	p.mu.Lock()
	delete(p.connections, c)
	p.mu.Unlock()
}

func (c *connection) cut() {
	c.client.Close()
	c.server.Close()
}

// chunk is a piece of the stream and when it is due at the other end.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pump copies bytes one way until the connection ends. inspect returns how many bytes may pass, and whether the
// connection ends after them.
func (p *proxy) pump(c *connection, from, to net.Conn, free *time.Time, inspect func(*connection, []byte) (pass int, end bool)) {
	defer c.cut()
	chunks := make(chan chunk, 16)
	var delivery sync.WaitGroup
	defer delivery.Wait()
	defer close(chunks)
	delivery.Go(func() {
		defer c.cut()
		for chunk := range chunks {
			if !p.deliver(to, chunk) {
				break
			}
		}
		for range chunks { // the reader must not block
		}
	})
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		pass, end := inspect(c, buffer[:n])
		p.mu.Lock()
		*free = later(*free, time.Now())
		if p.rate > 0 {
			*free = free.Add(time.Duration(pass) * time.Second / time.Duration(p.rate))
		}
		due := free.Add(p.latency)
		p.mu.Unlock()
		if pass > 0 {
			chunks <- chunk{buffer[:pass], due}
		}
		if err != nil || end {
			return
		}
	}
}

func (p *proxy) deliver(to io.Writer, chunk chunk) bool {
	if wait := time.Until(chunk.due); wait > 0 {
		<-time.After(wait)
	}
	p.mu.Lock()
	silence := p.silence
	p.mu.Unlock()
	if silence != nil {
		<-silence
	}
	_, err := to.Write(chunk.bytes)
	return err == nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// What the proxy looks for in messages: a batch names its prepared statements.
var (
	beginName         = []byte("\x00begin\x00")
	progressName      = []byte("\x00move_progress\x00") // with beginName: the first message of a batch
	commitName        = []byte("\x00commit\x00")
	committedTag      = []byte("COMMIT\x00")
	staleProgressCode = []byte("C22012\x00") // the SQLSTATE of a refused batch (division by zero)
)

func (p *proxy) inspectRequest(c *connection, text []byte) (pass int, end bool) {
	if bytes.Contains(text, beginName) && bytes.Contains(text, progressName) {
		p.holdBegin()
	}
	at := bytes.Index(text, commitName)
	if at < 0 {
		return len(text), false
	}
	p.mu.Lock()
	action := p.nextCommit
	p.nextCommit = passCommit
	p.mu.Unlock()
	switch action {
	case cutBeforeCommit:
		p.cutsBefore.Add(1)
		return at, true
	case cutAfterCommit:
		c.awaitingReply.Store(true)
	}
	return len(text), false
}

func (p *proxy) inspectReply(c *connection, text []byte) (pass int, end bool) {
	if bytes.Contains(text, staleProgressCode) {
		p.refused.Add(1)
	}
	if !c.awaitingReply.Load() {
		return len(text), false
	}
	if bytes.Contains(text, committedTag) {
		p.cutsAfter.Add(1)
		return 0, true
	}
	return 0, false
}

// cutNextCommit decides what happens to the next COMMIT of any connection.
func (p *proxy) cutNextCommit(action commitAction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nextCommit = action
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		c.cut()
	}
}

// disconnect closes all connections and refuses new ones; reconnect accepts them again.
func (p *proxy) disconnect() {
	p.mu.Lock()
	p.refuseConnections = true
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) reconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuseConnections = false
}

// suspend delays all bytes until resume: a network partition.
func (p *proxy) suspend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silence == nil {
		p.silence = make(chan struct{})
	}
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.silence != nil {
		close(p.silence)
		p.silence = nil
	}
}

// holdNextWrite delays the next BEGIN of a batch, and all that follows, until resume. The channel is closed when the BEGIN
// arrives.
func (p *proxy) holdNextWrite() (held <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold, p.held = true, make(chan struct{})
	return p.held
}

func (p *proxy) holdBegin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold {
		p.hold = false
		p.silence = make(chan struct{})
		close(p.held)
	}
}

// slow limits latency and rate; zeros remove the limits.
func (p *proxy) slow(latency time.Duration, bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency, p.rate = latency, bytesPerSecond
}
