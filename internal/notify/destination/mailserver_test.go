package destination_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailServer is a real SMTP server on loopback. It signs in one user.
type mailServer struct {
	address string
	caFile  string

	mu     sync.Mutex
	answer error // to DATA; nil takes the message
	mails  []mailReceived
}

type mailReceived struct {
	from string
	to   []string
	text []byte
	user string
	tls  bool
}

type mailOptions struct {
	implicit bool // TLS from the start
	plain    bool // no TLS at all
}

func newMailServer(t *testing.T, options mailOptions) *mailServer {
	t.Helper()
	m := &mailServer{}
	config := m.certificate(t)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, secure := c.TLSConnectionState()
		return &mailSession{server: m, mail: mailReceived{tls: secure}}, nil
	}))
	server.Domain, server.ReadTimeout, server.WriteTimeout = "localhost", 10*time.Second, 10*time.Second
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = listener.Addr().String()
	switch {
	case options.implicit:
		listener = tls.NewListener(listener, config)
	case !options.plain:
		server.TLSConfig = config
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		_ = listener.Close() // which the server may not know yet
		<-ended
	})
	return m
}

// certificate makes one for 127.0.0.1 that signs itself.
func (m *mailServer) certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	m.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(m.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// answerWith sets what the server answers to DATA.
func (m *mailServer) answerWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = err
}

func (m *mailServer) received() []mailReceived {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails
}

type mailSession struct {
	server *mailServer
	mail   mailReceived
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "heartbeat" || password != mailPassword {
			return smtp.ErrAuthFailed
		}
		s.mail.user = user
		return nil
	}), nil
}

const mailPassword = "SwordfishMarker"

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if to == "unknown@example.org" {
		return &smtp.SMTPError{Code: 550, Message: "no such user"}
	}
	s.mail.to = append(s.mail.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.answer != nil {
		return s.server.answer
	}
	s.mail.text = text
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *mailSession) Reset() {}

func (s *mailSession) Logout() error { return nil }
