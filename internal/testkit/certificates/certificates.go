// Package certificates makes certificates for tests that talk to real servers over TLS: an authority of its own for each
// test, and certificates that it signs.
//
// It refuses to serve production: keys are written where the test says, and certificates end within a day. An
// Authority may be shared. It is not on the path of a reading.
package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

const validity = 24 * time.Hour

// New returns an authority that no client trusts yet.
func New() (*Authority, error) {
	template := template("Heartbeat test authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &Authority{certificate: template}
	der, key, err := a.sign(template)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	a.key, a.pem = key, block("CERTIFICATE", der)
	return a, nil
}

// PEM returns the authority's own certificate: what clients must trust.
func (a *Authority) PEM() []byte { return a.pem }

// Issue returns a certificate for a server of these names and addresses, and its key, both in PEM.
func (a *Authority) Issue(names ...string) (certificate, key []byte, err error) {
	template := template("Heartbeat test server")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, private, err := a.sign(template)
	if err != nil {
		return nil, nil, fmt.Errorf("issue certificate for %q: %w", names, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key for %q: %w", names, err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", encoded), nil
}

// sign makes a key and a certificate for it; that of the authority itself is signed with its own key.
func (a *Authority) sign(template *x509.Certificate) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), signer)
	return der, key, err
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validity),
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
