package ingestapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heartbeat/internal/httpserver"
)

// listen serves a Server on a port of this machine until the test ends.
func listen(t *testing.T, server *Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- httpserver.Serve(ctx, listener, server.Handler(), slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// dial opens a connection and sends a text on it.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func head(address string, length int) string {
	return fmt.Sprintf("POST /api/v1/readings HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", address, length)
}

// served sends a reading as an ordinary client does.
func served(t *testing.T, address string) {
	t.Helper()
	response, err := http.Post("http://"+address+"/api/v1/readings", jsonType, strings.NewReader(oneReading))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Errorf("another client: status %d", response.StatusCode)
	}
}

func TestSlowSendersHoldUpNoOther(t *testing.T) {
	t.Parallel()
	server := newServer(t, &topic{}, func(o *Options) { o.bodyTimeout = 500 * time.Millisecond })
	address := listen(t, server)
	var slow []net.Conn
	for range 200 {
		slow = append(slow, dial(t, address, head(address, 1<<20)+"["))
	}
	served(t, address)
	for _, conn := range slow {
		if code := status(t, conn); code != http.StatusRequestTimeout {
			t.Fatalf("a slow sender: status %d, want 408", code)
		}
	}
	if used := server.budget.inUse(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
}

func TestBodiesThatEndEarly(t *testing.T) {
	t.Parallel()
	topic := &topic{}
	address := listen(t, newServer(t, topic, nil))
	conn := dial(t, address, head(address, len(oneReading)+1)+oneReading)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if code := status(t, conn); code != http.StatusBadRequest {
		t.Errorf("a half-closed connection: status %d, want 400", code)
	}
	chunked := strings.Replace(head(address, 0), "Content-Length: 0", "Transfer-Encoding: chunked", 1)
	if code := status(t, dial(t, address, chunked+"zz\r\n")); code != http.StatusBadRequest {
		t.Errorf("a broken chunk: status %d, want 400", code)
	}
	if len(topic.messages) > 0 {
		t.Errorf("%d readings of broken bodies are in the topic", len(topic.messages))
	}
	served(t, address)
}

func TestFloodsOfHeaders(t *testing.T) {
	t.Parallel()
	address := listen(t, newServer(t, &topic{}, nil))
	flood := "POST /api/v1/readings HTTP/1.1\r\nHost: " + address + "\r\n" + strings.Repeat("X-A: b\r\n", 4000)
	if code := status(t, dial(t, address, flood)); code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("32 KB of headers: status %d, want 431", code)
	}
	served(t, address)
}

// Bodies that are small on the wire and large when unpacked, all at once: memory stays within the budget, and a device of another name is
// served meanwhile.
func TestMemoryStaysWithinItsBudget(t *testing.T) {
	t.Parallel()
	const memory = 32 << 20
	topic := &topic{entered: make(chan struct{}, 1000), hold: make(chan struct{})}
	server := newServer(t, topic, func(o *Options) { o.memory = memory })
	valid := "[" + strings.Repeat(" ", 7<<20) + oneReading + "]"
	body := packed(t, []byte(valid))
	var group sync.WaitGroup
	var taken, refused atomic.Int64
	answered := make(chan int, 64)
	for range 64 {
		group.Go(func() {
			response := post(server, jsonType, body, "Content-Encoding", "gzip", "Authorization", "Bearer gateway")
			switch response.Code {
			case http.StatusAccepted:
				taken.Add(1)
			case http.StatusServiceUnavailable:
				refused.Add(1)
				if response.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			default:
				t.Errorf("answer %d %s", response.Code, response.Body)
			}
			answered <- response.Code
		})
	}
	<-topic.entered // one is waiting for the brokers with its body
	if used := server.budget.inUse(); used > memory {
		t.Errorf("%d bytes are reserved, want at most %d", used, memory)
	}
	other := make(chan int)
	go func() { other <- post(server, jsonType, oneReading, "Authorization", "Bearer person").Code }()
	<-topic.entered
	close(topic.hold)
	if code := <-other; code != http.StatusAccepted {
		t.Errorf("another device: status %d", code)
	}
	group.Wait()
	if taken.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d taken and %d refused, want some of both", taken.Load(), refused.Load())
	}
	if used := server.budget.inUse(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.HeapAlloc > 512<<20 {
		t.Errorf("%d MiB are in use afterwards", stats.HeapAlloc>>20)
	}
}
