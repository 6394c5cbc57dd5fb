package destination_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"heartbeat/internal/notify"
	"heartbeat/internal/notify/destination"
)

const (
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_c2Vjb25kLXNlY3JldC13aGlsZS1hLWtleS1yb3RhdGVz"
)

func senders(t *testing.T, text string) map[string]destination.Sender {
	t.Helper()
	return sendersWith(t, text, notify.Words{})
}

// webhook returns a sender to a URL, which is on this machine's loopback.
func webhook(t *testing.T, url string) destination.Sender {
	t.Helper()
	return senders(t, `
destinations:
  ward:
    webhook: {url: "`+url+`", secrets: [{variable: NEXT_SECRET}, {variable: WARD_SECRET}], allow: [127.0.0.1, "::1"]}
routes: [{to: [ward]}]`)["ward"]
}

func TestSignatureOfThePublishedVector(t *testing.T) {
	signatures := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { signatures <- r.Header.Get("webhook-signature") }))
	defer server.Close()
	// The header's prefix is the sender's own, so the vector's id goes without it.
	delivery := destination.Delivery{ID: "p5jXN8AQM9LWM0D4loKWxJek", Body: []byte(`{"test": 2432232314}`)}
	if result := webhook(t, server.URL).Send(t.Context(), delivery, time.Unix(1614265330, 0)); result.Err != nil {
		t.Fatal(result.Err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := <-signatures; !strings.HasSuffix(got, " "+want) || strings.Count(got, "v1,") != 2 {
		t.Errorf("signatures are %q, want one of each key, the last %q", got, want)
	}
}

// A receiver that verifies with the published library, by the old or the new key, takes the message.
func TestPublishedLibraryAcceptsTheMessage(t *testing.T) {
	for _, key := range []string{secret, otherSecret} {
		receiver, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if err := receiver.Verify(body, r.Header); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		}))
		sender := webhook(t, server.URL)
		body, err := sender.Encode(&notify.Message{Type: notify.Test, At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if result := sender.Send(t.Context(), destination.Delivery{ID: "1", Body: body}, time.Now()); result.Err != nil || result.Code != 200 {
			t.Errorf("result %+v, want it taken", result)
		}
		server.Close()
	}
}

func TestOnlySuccessIsSuccess(t *testing.T) {
	var elsewhere atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer target.Close()
	type answer struct {
		code  int
		after string
	}
	answers := make(chan answer, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := <-answers
		code, after := given.code, given.after
		w.Header().Set("Location", target.URL)
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		if code == 0 {
			hijacked, _, _ := w.(http.Hijacker).Hijack()
			hijacked.Close() // in the middle
			return
		}
		w.WriteHeader(code)
	}))
	defer server.Close()
	sender := webhook(t, server.URL)
	now := time.Now().Truncate(time.Second)
	for _, test := range []struct {
		code  int
		after string
		taken bool
		gone  bool
		wait  time.Duration
	}{
		{code: 200, taken: true}, {code: 204, taken: true}, {code: 299, taken: true},
		{code: 301}, {code: 302}, {code: 307}, {code: 400}, {code: 410, gone: true}, {code: 500}, {code: 0},
		{code: 429, after: "120", wait: 2 * time.Minute}, {code: 503, after: now.Add(time.Minute).UTC().Format(http.TimeFormat), wait: time.Minute},
		{code: 503, after: "-5"}, {code: 503, after: "soon"}, {code: 503, after: "999999", wait: time.Hour},
	} {
		answers <- answer{test.code, test.after}
		result := sender.Send(t.Context(), destination.Delivery{ID: "1", Body: []byte("{}")}, now)
		if (result.Err == nil) != test.taken || result.Gone != test.gone || result.RetryAfter != test.wait || result.Code != test.code {
			t.Errorf("%d with Retry-After %q: %+v", test.code, test.after, result)
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d redirects were followed", elsewhere.Load())
	}
}

func TestReceiverThatHangsIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if result := webhook(t, server.URL).Send(ctx, destination.Delivery{ID: "1"}, time.Now()); result.Err == nil {
		t.Error("a receiver that hangs has taken the message")
	}
}

// The environment's proxy would see every message, and could reach what may not be dialled.
func TestNoProxyAndNoPrivateAddress(t *testing.T) {
	var dialled atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dialled.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(proxy.URL, "http://"))
	for _, url := range []string{"http://localhost:" + port + "/secret-path", "http://127.0.0.1:" + port + "/secret-path", "http://[::1]:" + port + "/secret-path"} {
		sender := senders(t, `
destinations: {ward: {webhook: {url: "`+url+`", secrets: [{variable: WARD_SECRET}], allow: [10.0.0.0/8]}}}
routes: [{to: [ward]}]`)["ward"]
		result := sender.Send(t.Context(), destination.Delivery{ID: "1"}, time.Now())
		if result.Err == nil || !strings.Contains(result.Err.Error(), "not public") || strings.Contains(result.Err.Error(), "secret-path") {
			t.Errorf("%s: %v, want it refused without its path", url, result.Err)
		}
	}
	if dialled.Load() != 0 {
		t.Errorf("%d requests arrived", dialled.Load())
	}
}

func TestAddressesThatMayBeDialled(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "10.1.2.3": true, "::ffff:10.1.2.3": true, // named
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "10.2.0.1": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "100.100.100.200": false, "224.0.0.1": false, "255.255.255.255": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "192.0.0.192": false,
		"168.63.129.16": false, "::ffff:168.63.129.16": false, "192.88.99.1": false, "2001:0:7f00:1::": false, "3fff::1": false,
		"::7f00:1": false, "::ffff:0:7f00:1": false, "100:0:0:1::1": false,
	} {
		if got := destination.Permits(t, []string{"10.1.0.0/16"}, netip.MustParseAddr(text)); got != want {
			t.Errorf("%s may be dialled: %t, want %t", text, got, want)
		}
	}
}

func TestSecretsOfTheWrongFormAreRefused(t *testing.T) {
	for _, bad := range []string{"plain", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!", "whsec_" + strings.Repeat("QUJD", 30)} {
		t.Setenv("BAD", bad)
		file, err := notify.Parse([]byte(`
destinations: {ward: {webhook: {url: "https://example.org", secrets: [{variable: BAD}]}}}
routes: [{to: [ward]}]`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := destination.New(file, notify.Words{}, slog.New(slog.DiscardHandler)); err == nil || len(bad) > 6 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v, want it refused without being repeated", bad, err)
		}
	}
}

func TestLogGetsTheMessage(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	file, err := notify.Parse([]byte("destinations: {log: {log: {}}}\nroutes: [{to: [log]}]"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := destination.New(file, notify.Words{}, slog.New(slog.NewJSONHandler(&text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := all["log"].Encode(&notify.Message{Type: notify.Test})
	if err != nil {
		t.Fatal(err)
	}
	if result := all["log"].Send(t.Context(), destination.Delivery{ID: "7", Body: body}, time.Now()); result.Err != nil {
		t.Fatal(result.Err)
	}
	var line struct{ ID, Message, Destination string }
	if err := json.Unmarshal([]byte(text.String()), &line); err != nil || line.ID != "7" || line.Destination != "log" || line.Message != string(body) {
		t.Errorf("the log has %s, %v", &text, err)
	}
}
