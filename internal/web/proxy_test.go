package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/live"
	"heartbeat/internal/testkit/freeport"
	"heartbeat/internal/testkit/prerequisite"
	"heartbeat/internal/web"
)

// proxied is a server behind a real nginx.
type proxied struct {
	t   *testing.T
	url string // of nginx
}

// behindNginx runs a server and an nginx before it. directives stand in nginx's location; %s there is the server's URL.
func behindNginx(t *testing.T, location, directives string, change func(*web.Options)) proxied {
	t.Helper()
	program := prerequisite.Program(t, "nginx", "nginx-light")
	fleet := live.New(live.Options{})
	observe(fleet, 42, 75)
	server := newServer(t, func(o *web.Options) {
		o.Fleet = fleet
		change(o)
	})
	listener, err := httpserver.Listen(httpserver.Address{Asked: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- server.Serve(ctx, listener) }()
	go func() { done <- fleet.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
		<-done
	})
	address := freeport.Address(t)
	dir := t.TempDir()
	config := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server { listen %[2]s; location %[3]s { %[4]s } }
}`, dir, address, location, fmt.Sprintf(directives, "http://"+listener.Addr().String()))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	nginx := exec.CommandContext(ctx, program, "-p", dir, "-c", file, "-e", "stderr")
	nginx.Stdout, nginx.Stderr = &output, &output
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = nginx.Wait()
		if t.Failed() {
			t.Logf("nginx said: %s", output.String())
		}
	})
	awaitListener(t, address)
	return proxied{t, "http://" + address}
}

func awaitListener(t *testing.T, address string) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-ticker.C {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen on %s: %v", address, err)
		}
	}
}

// request sends a request as a browser at console.example would.
func (p proxied) request(method, path, body string) *http.Response {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Host = "console.example"
	if method != http.MethodGet {
		r.Header.Set("Origin", "http://console.example")
		r.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { response.Body.Close() })
	return response
}

// want sends a request and checks the status of its response and a part of its body.
func (p proxied) want(method, path, body string, status int, part string) *http.Response {
	p.t.Helper()
	response := p.request(method, path, body)
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || !strings.Contains(string(text), part) {
		p.t.Errorf("%s %s got %d %s, %v; want %d and %q", method, path, response.StatusCode, text, err, status, part)
	}
	return response
}

// works drives what a browser does at a base path, as the viewer's address has it.
func (p proxied) works(base string) {
	p.t.Helper()
	p.want("GET", base+"/", "", http.StatusOK, "<html")
	p.want("GET", base+"/api/v1/fleet", "", http.StatusOK, "CUST_00042")
	p.want("POST", base+"/api/v1/dead-letters/7/replay", "{}", http.StatusOK, "rejected")
	response := p.want("DELETE", base+"/api/v1/session", "", http.StatusOK, "signed_in")
	if cookies := response.Cookies(); len(cookies) != 1 || cookies[0].Path != base+"/" {
		p.t.Errorf("the session's cookies are %v, want one for %s/", cookies, base)
	}
	stream := p.request("GET", base+"/api/v1/stream", "")
	lines := bufio.NewScanner(stream.Body)
	for frames := 0; frames < 3 && lines.Scan(); {
		if lines.Text() == "event: frame" {
			frames++ // a proxy that collects them would hold back the third
		}
	}
	if err := lines.Err(); err != nil {
		p.t.Errorf("read the stream: %v", err)
	}
}

func TestConsoleWorksBehindNginx(t *testing.T) {
	t.Parallel()
	const passHost = "proxy_pass %s; proxy_set_header Host $host;"
	named := []string{"console.example"}
	for name, test := range map[string]struct {
		location, directives, base string
		change                     func(*web.Options)
	}{
		"host passed on":                        {"/", passHost, "", func(o *web.Options) { o.Hosts = named }},
		"host not passed on":                    {"/", "proxy_pass %s;", "", func(o *web.Options) { o.Hosts = named }},
		"path passed on":                        {"/heartbeat/", passHost, "/heartbeat", func(o *web.Options) { o.Hosts, o.BasePath = named, "/heartbeat" }},
		"path stripped":                         {"/heartbeat/", "proxy_pass %s/; proxy_set_header Host $host;", "/heartbeat", func(o *web.Options) { o.Hosts, o.BasePath = named, "/heartbeat" }},
		"path of two parts, host not passed on": {"/a/b/", "proxy_pass %s;", "/a/b", func(o *web.Options) { o.Hosts, o.BasePath = named, "/a/b" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behindNginx(t, test.location, test.directives, test.change).works(test.base)
		})
	}
	t.Run("host passed on, with a token", func(t *testing.T) {
		t.Parallel()
		p := behindNginx(t, "/", passHost, func(o *web.Options) { o.Auth.Token = token })
		p.want("GET", "/", "", http.StatusOK, "<html")
		p.want("POST", "/api/v1/session", `{"token":"`+token+`"}`, http.StatusOK, "signed_in")
	})
}

func TestErrorBehindNginxNamesTheOption(t *testing.T) {
	t.Parallel()
	t.Run("host", func(t *testing.T) {
		t.Parallel()
		p := behindNginx(t, "/", "proxy_pass %s; proxy_set_header Host $host;", func(*web.Options) {})
		p.want("GET", "/", "", http.StatusMisdirectedRequest, "--allowed-host console.example")
	})
	t.Run("origin", func(t *testing.T) {
		t.Parallel()
		p := behindNginx(t, "/", "proxy_pass %s;", func(*web.Options) {})
		p.want("GET", "/api/v1/fleet", "", http.StatusOK, "CUST_00042")
		p.want("POST", "/api/v1/dead-letters/7/replay", "{}", http.StatusForbidden, "--allowed-host console.example")
	})
	t.Run("origin, with a token", func(t *testing.T) {
		t.Parallel()
		p := behindNginx(t, "/", "proxy_pass %s;", func(o *web.Options) { o.Auth.Token = token })
		p.want("POST", "/api/v1/session", "{}", http.StatusForbidden, "Host header")
	})
}
