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

// proxy stands between the product and a server and does to the connection what networks do. A library would serve for
// most of it, but none can cut a connection at the very COMMIT, before or after the server has done it.
type proxy struct {
	listener net.Listener
	target   string
	loops    sync.WaitGroup

	mu      sync.Mutex // guards all below
	links   map[*link]bool
	closed  bool
	refuse  bool          // close new connections at once
	silence chan struct{} // nil: bytes flow; else nothing passes until it is closed
	latency time.Duration // each way
	rate    int           // bytes a second, each way, of all connections together; 0: no limit
	free    [2]time.Time  // when the line is free again, each way
	fate    commitFate    // of the next COMMIT
	hold    bool          // fall silent with the next BEGIN
	held    chan struct{} // closed once that has come

	before, after atomic.Int64 // COMMITs cut before and after they were done
	refused       atomic.Int64 // writes that the server refused because their place was not the writer's any more
}

// commitFate is what becomes of a COMMIT that passes.
type commitFate int

const (
	passCommit commitFate = iota
	cutBefore             // the server never hears of it
	cutAfter              // the server does it, the client never hears of that
)

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	awaiting       atomic.Bool // the server's answer to a COMMIT, to cut behind it
}

// startProxy stands before the target, and goes with the test.
func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &proxy{listener: listener, target: target, links: map[*link]bool{}}
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

// through returns the database's address by way of the proxy.
func (p *proxy) through(database string) string {
	address, _ := url.Parse(database) // the test made it
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
	server, err := net.DialTimeout("tcp", p.target, 10*time.Second)
	if err != nil {
		return
	}
	defer server.Close()
	l := &link{client: client, server: server}
	p.mu.Lock()
	if p.refuse || p.closed {
		p.mu.Unlock()
		return
	}
	p.links[l] = true
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { p.pump(l, client, server, &p.free[0], p.request) })
	ways.Go(func() { p.pump(l, server, client, &p.free[1], p.answer) })
	ways.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (l *link) cut() {
	l.client.Close()
	l.server.Close()
}

// parcel is a piece of the stream and when it is due at the other end.
type parcel struct {
	bytes []byte
	due   time.Time
}

// pump carries bytes one way until the connection ends. The inspector returns how much may pass, and whether the
// connection ends behind that.
func (p *proxy) pump(l *link, from, to net.Conn, free *time.Time, inspect func(*link, []byte) (pass int, end bool)) {
	defer l.cut()
	parcels := make(chan parcel, 16)
	var delivery sync.WaitGroup
	defer delivery.Wait()
	defer close(parcels)
	delivery.Go(func() {
		defer l.cut()
		for parcel := range parcels {
			if !p.deliver(to, parcel) {
				break
			}
		}
		for range parcels { // the reader must not block
		}
	})
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		pass, end := inspect(l, buffer[:n])
		p.mu.Lock()
		*free = later(*free, time.Now())
		if p.rate > 0 {
			*free = free.Add(time.Duration(pass) * time.Second / time.Duration(p.rate))
		}
		due := free.Add(p.latency)
		p.mu.Unlock()
		if pass > 0 {
			parcels <- parcel{buffer[:pass], due}
		}
		if err != nil || end {
			return
		}
	}
}

func (p *proxy) deliver(to io.Writer, parcel parcel) bool {
	if wait := time.Until(parcel.due); wait > 0 {
		<-time.After(wait)
	}
	p.mu.Lock()
	silence := p.silence
	p.mu.Unlock()
	if silence != nil {
		<-silence
	}
	_, err := to.Write(parcel.bytes)
	return err == nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// What the messages contain that this proxy looks for: a batch names its prepared statements.
var (
	beginName    = []byte("\x00begin\x00")
	moveName     = []byte("\x00move_progress\x00") // with begin: the first message of a batch
	commitName   = []byte("\x00commit\x00")
	committedTag = []byte("COMMIT\x00")
	movedNone    = []byte("C22012\x00") // the code of the error by which the database refuses a batch that is not in its place
)

func (p *proxy) request(l *link, text []byte) (pass int, end bool) {
	if bytes.Contains(text, beginName) && bytes.Contains(text, moveName) {
		p.holdBegin()
	}
	at := bytes.Index(text, commitName)
	if at < 0 {
		return len(text), false
	}
	p.mu.Lock()
	fate := p.fate
	p.fate = passCommit
	p.mu.Unlock()
	switch fate {
	case cutBefore:
		p.before.Add(1)
		return at, true
	case cutAfter:
		l.awaiting.Store(true)
	}
	return len(text), false
}

func (p *proxy) answer(l *link, text []byte) (pass int, end bool) {
	if bytes.Contains(text, movedNone) {
		p.refused.Add(1)
	}
	if !l.awaiting.Load() {
		return len(text), false
	}
	if bytes.Contains(text, committedTag) {
		p.after.Add(1)
		return 0, true
	}
	return 0, false
}

// cutNextCommit decides the fate of the next COMMIT of any connection.
func (p *proxy) cutNextCommit(fate commitFate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate = fate
}

// cut ends all connections, as a network does that forgets them.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// down ends all connections and refuses new ones; up lets them in again.
func (p *proxy) down() {
	p.mu.Lock()
	p.refuse = true
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
}

// suspend swallows nothing and passes nothing: a partition of the network. resume ends it.
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

// holdNextWrite keeps the next BEGIN of a batch, and all that follows, from the server until resume. The channel is closed
// once it has come.
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

// slow makes the line slow; zeros make it fast again.
func (p *proxy) slow(latency time.Duration, bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency, p.rate = latency, bytesPerSecond
}
