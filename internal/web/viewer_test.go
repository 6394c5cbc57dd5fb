package web_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/live"
	"heartbeat/internal/web"
)

// pipes is a listener in memory: inside a synctest bubble time then stands still while a connection waits.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case connection := <-p.connections:
		return connection, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// testServer is a server with its fleet, running until the test ends.
type testServer struct {
	hub   *live.Hub
	pipes pipes
}

func open(t *testing.T, change func(*web.Options)) testServer {
	t.Helper()
	r := testServer{hub: live.New(live.Options{}), pipes: pipes{make(chan net.Conn), make(chan struct{})}}
	server := newServer(t, func(o *web.Options) {
		o.Fleet = r.hub
		if change != nil {
			change(o)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- r.hub.Run(ctx) }()
	go func() { done <- server.Serve(ctx, r.pipes) }()
	t.Cleanup(func() {
		stop()
		<-done
		<-done
	})
	return r
}

// client is a viewer's end of a stream.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (r testServer) connect(t *testing.T, lastEventID string) client {
	t.Helper()
	request := "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n"
	if lastEventID != "" {
		request += "Last-Event-ID: " + lastEventID + "\r\n"
	}
	return r.send(t, request+"\r\n")
}

// send opens a connection and writes to it.
func (r testServer) send(t *testing.T, text string) client {
	t.Helper()
	near, far := net.Pipe()
	r.pipes.connections <- far
	t.Cleanup(func() { near.Close() })
	if _, err := io.WriteString(near, text); err != nil {
		t.Fatal(err)
	}
	return client{t, near, bufio.NewReader(near)}
}

// status reads the status of a response.
func (c client) status() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a response: %v", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "HTTP/1.1 "))
}

type event struct{ id, name, data string }

// event reads up to the next event, skipping headers, chunk sizes and comments.
func (c client) event() (event, error) {
	var e event
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimRight(line, "\r\n")
		switch name, value, _ := strings.Cut(line, ": "); {
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data = value
			return e, nil
		}
	}
}

func (c client) await(name string) event {
	c.t.Helper()
	for range 100 {
		e, err := c.event()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", name, err)
		}
		if e.name == name {
			return e
		}
	}
	c.t.Fatalf("no %s among 100 events", name)
	return event{}
}

// wall applies a frame's changes the way the console does.
func wall(t *testing.T, e event, rates map[uint64]int64) (from, to uint64) {
	t.Helper()
	var frame struct {
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
		C    string `json:"c"`
	}
	if err := json.Unmarshal([]byte(e.data), &frame); err != nil {
		t.Fatalf("frame: %v", err)
	}
	encoded, err := base64.StdEncoding.DecodeString(frame.C)
	if err != nil {
		t.Fatalf("frame: %v", err)
	}
	in := bufio.NewReader(strings.NewReader(string(encoded)))
	var id uint64
	for {
		gap, err := binary.ReadUvarint(in)
		if err == io.EOF {
			return frame.From, frame.To
		}
		id += gap >> 1
		rate, _ := in.ReadByte()
		rates[id] = int64(rate)
		if rate != 0 {
			continue
		}
		flags, _ := in.ReadByte()
		rates[id], _ = binary.ReadVarint(in)
		_, _ = binary.ReadVarint(in)
		if flags&2 != 0 {
			_, _ = binary.ReadUvarint(in)
		}
	}
}

func observe(hub *live.Hub, id heartbeat.CustomerID, bpm float64) {
	class, rate := heartbeat.Classify(bpm)
	hub.Observe([]heartbeat.Reading{{Customer: id, Class: class, BPM: rate, Time: time.Now()}})
}
