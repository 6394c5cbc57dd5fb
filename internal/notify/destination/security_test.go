package destination_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"heartbeat/internal/notify"
	"heartbeat/internal/notify/destination"
)

// eachKind is a destination of each kind at an address; HOST and ALLOW are replaced.
var eachKind = map[string]string{
	"webhook":      `webhook: {url: "http://HOST/secret-path", secrets: [{variable: WARD_SECRET}], allow: [ALLOW]}`,
	"alertmanager": `alertmanager: {url: "http://HOST/secret-path", allow: [ALLOW]}`,
	"pagerduty":    `pagerduty: {url: "http://HOST/secret-path", routing_key: {variable: ROUTING_KEY}, allow: [ALLOW]}`,
	"email":        `email: {server: "HOST", tls: none, from: a@example.org, to: [b@example.org], allow: [ALLOW]}`,
	"log":          `log: {}`,
}

func ofKind(t *testing.T, kind, host, allow string, words notify.Words) destination.Sender {
	t.Helper()
	t.Setenv("ROUTING_KEY", routingKey)
	text := strings.NewReplacer("HOST", host, "ALLOW", allow).Replace(eachKind[kind])
	return sendersWith(t, "destinations: {it: {"+text+"}}\nroutes: [{to: [it]}]", words)["it"]
}

func TestEachKindDialsOnlyWhatIsAllowed(t *testing.T) {
	var dialled atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}}}
	server.Start()
	defer server.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for kind := range eachKind {
		for _, host := range []string{"127.0.0.1", "localhost", "169.254.169.254", "[::ffff:127.0.0.1]"} {
			if kind == "log" {
				continue
			}
			result := send(t, ofKind(t, kind, host+":"+port, "10.0.0.0/8", notify.Words{}), raised("CUST_1"))
			if result.Err == nil || !strings.Contains(result.Err.Error(), "not public") || strings.Contains(result.Err.Error(), "secret-path") || !result.Untaken {
				t.Errorf("%s at %s: %+v, want it refused", kind, host, result)
			}
		}
	}
	if dialled.Load() != 0 {
		t.Errorf("%d connections arrived", dialled.Load())
	}
}

func TestEachKindFollowsNoRedirectAndHasNoHeaderFromAMessage(t *testing.T) {
	var elsewhere atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer target.Close()
	headers := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		headers <- r.Header
		http.Redirect(w, r, target.URL, http.StatusPermanentRedirect)
	}))
	defer server.Close()
	for _, kind := range []string{"webhook", "alertmanager", "pagerduty"} {
		result := send(t, ofKind(t, kind, strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", notify.Words{}), raised(hostile))
		if result.Err == nil || result.Code != http.StatusPermanentRedirect {
			t.Errorf("%s: %+v, want the redirect to be a failure", kind, result)
		}
		for name, values := range <-headers {
			if text := strings.Join(values, " "); strings.Contains(text, "CUST_1") || strings.Contains(text, "example.org") {
				t.Errorf("%s has the header %s: %s", kind, name, text)
			}
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}

// The rates of the fixture are numbers that occur nowhere else.
func TestEachKindTellsNoHealthDataUnlessAsked(t *testing.T) {
	for kind := range eachKind {
		for withValues, want := range map[bool]bool{false: false, true: true} {
			sender := ofKind(t, kind, "127.0.0.1:1", "127.0.0.1", notify.Words{WithValues: withValues})
			body, err := sender.Encode(raised("CUST_1"))
			if err != nil {
				t.Fatal(err)
			}
			if has := strings.Contains(string(body), "20177"); has != want {
				t.Errorf("%s with values %t: %s", kind, withValues, body)
			}
		}
	}
}

// No template is evaluated, and in JSON what is told of is data.
func TestEachKindEscapesWhatItTellsOf(t *testing.T) {
	for kind := range eachKind {
		body, err := ofKind(t, kind, "127.0.0.1:1", "127.0.0.1", notify.Words{ConsoleURL: "https://example.org"}).Encode(raised(hostile))
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		if kind != "email" && (strings.ContainsAny(text, "\r\n<\x00\u2028") || !strings.Contains(text, `CUST_1\"}`)) {
			t.Errorf("%s: %s", kind, text)
		}
		if kind == "email" && (strings.Contains(text, "\nBcc:") && strings.Index(text, "\nBcc:") < strings.Index(text, "\r\n\r\n") || strings.Contains(text, "\x00")) {
			t.Errorf("%s: %s", kind, text)
		}
	}
}

func sendersWith(t *testing.T, text string, words notify.Words) map[string]destination.Sender {
	t.Helper()
	t.Setenv("WARD_SECRET", secret)
	t.Setenv("NEXT_SECRET", otherSecret)
	file, err := notify.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := destination.New(file, words, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
