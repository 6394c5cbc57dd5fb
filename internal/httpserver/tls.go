package httpserver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLSFiles name the files of a TLS listener, in PEM. The zero value is no TLS.
type TLSFiles struct {
	Certificate, Key string
	ClientCA         string // clients must have a certificate of this authority; empty: they need none
}

// certificateAge is how long a certificate is used before its files are looked at again: a renewed one needs no restart.
const certificateAge = 10 * time.Second

// Config returns the configuration of a listener, nil without files.
func (f TLSFiles) Config() (*tls.Config, error) {
	if f == (TLSFiles{}) {
		return nil, nil
	}
	if f.Certificate == "" || f.Key == "" {
		return nil, errors.New("TLS needs both a certificate and its key: give --tls-certificate and --tls-key")
	}
	held := &renewedCertificate{files: f}
	if _, err := held.current(nil); err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: held.current}
	if f.ClientCA == "" {
		return config, nil
	}
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read the authority of client certificates: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authority of client certificates: %s has no certificate in PEM", f.ClientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// renewedCertificate is the certificate of a listener, read again when it is renewed.
type renewedCertificate struct {
	files TLSFiles

	mu   sync.Mutex // guards both below
	held *tls.Certificate
	read time.Time
}

// current returns the certificate. One whose files cannot be read stays in use: they may be half written.
func (c *renewedCertificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil && time.Since(c.read) < certificateAge {
		return c.held, nil
	}
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	switch {
	case err == nil:
		c.held = &pair
	case c.held == nil:
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	c.read = time.Now()
	return c.held, nil
}
