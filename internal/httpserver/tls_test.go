package httpserver

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"heartbeat/internal/testkit/certificates"
)

// issue writes a certificate for this machine and its key, and returns the key pair.
func issue(t *testing.T, authority *certificates.Authority, files TLSFiles) tls.Certificate {
	t.Helper()
	certificate, key, err := authority.Issue("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{files.Certificate: certificate, files.Key: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	authority, err := certificates.New()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := certificates.New()
	if err != nil {
		t.Fatal(err)
	}
	files := TLSFiles{Certificate: filepath.Join(directory, "cert.pem"), Key: filepath.Join(directory, "key.pem"), ClientCA: filepath.Join(directory, "ca.pem")}
	if _, err := files.Config(); err == nil {
		t.Fatal("files that do not exist are taken")
	}
	pair := issue(t, authority, files)
	if err := os.WriteFile(files.ClientCA, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	other := issue(t, stranger, TLSFiles{Certificate: filepath.Join(directory, "other.pem"), Key: filepath.Join(directory, "otherkey.pem")})
	config, err := files.Config()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	go func() { _ = ServeTLS(t.Context(), listener, handler, config, slog.New(slog.DiscardHandler)) }()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM())
	for name, test := range map[string]struct {
		certificates []tls.Certificate
		ok           bool
	}{"no certificate": {nil, false}, "one of another authority": {[]tls.Certificate{other}, false}, "one of the authority": {[]tls.Certificate{pair}, true}} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: test.certificates}}}
		response, err := client.Get("https://" + listener.Addr().String())
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			proto, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(proto) != "HTTP/2.0" {
				t.Errorf("%s: protocol %s, want HTTP/2.0", name, proto)
			}
		}
		client.CloseIdleConnections()
	}
}

func TestRenewedCertificateNeedsNoRestart(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	authority, err := certificates.New()
	if err != nil {
		t.Fatal(err)
	}
	files := TLSFiles{Certificate: filepath.Join(directory, "cert.pem"), Key: filepath.Join(directory, "key.pem")}
	first := issue(t, authority, files)
	held := &renewedCertificate{files: files}
	same := func(want tls.Certificate, what string) {
		t.Helper()
		got, err := held.current(nil)
		if err != nil || string(got.Certificate[0]) != string(want.Certificate[0]) {
			t.Errorf("%s: another certificate, %v", what, err)
		}
	}
	same(first, "at first")
	second := issue(t, authority, files)
	same(first, "within the time that a certificate is used")
	held.read = held.read.Add(-certificateAge)
	same(second, "after it")
	if err := os.WriteFile(files.Key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	held.read = time.Time{}
	same(second, "with a broken key")
}
