package destination

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"heartbeat/internal/notify"
)

const dialTimeout = 5 * time.Second

// reserved are networks that netip's own classes leave out and that lead to no receiver on the internet. Source: IANA's registries of
// special-purpose addresses (RFC 6890).
var reserved = func() (networks []netip.Prefix) {
	for _, text := range [...]string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
		"168.63.129.16/32", // public by its class: the services of Azure for its own machines
	} {
		networks = append(networks, netip.MustParsePrefix(text))
	}
	return networks
}()

// errRefused is the error of an address that may not be dialled.
var errRefused = errors.New("the address is not public and not named under allow")

// allowance is what may be dialled beside public addresses.
type allowance []netip.Prefix

func parseAllowance(texts []string) (allowed allowance, err error) {
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("allow: %q: want an address or a network such as 10.1.2.0/24", text)
		}
		allowed = append(allowed, network.Masked())
	}
	return allowed, nil
}

func (a allowance) permits(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, network := range a {
		if network.Contains(address) {
			return true
		}
	}
	if !address.IsGlobalUnicast() || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return false
	}
	for _, network := range reserved {
		if network.Contains(address) {
			return false
		}
	}
	return true
}

// control runs for each address that a name has resolved to, right before it is dialled: a name that resolves otherwise a moment
// later changes nothing.
func (a allowance) control(_, address string, _ syscall.RawConn) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !a.permits(parsed.Addr()) {
		return fmt.Errorf("dial %s: %w", address, errRefused)
	}
	return nil
}

// dialing is how a destination is reached.
type dialing struct {
	dialer *net.Dialer
	roots  *x509.CertPool // nil: the system's
}

func newDialing(config *notify.Dial) (*dialing, error) {
	allowed, err := parseAllowance(config.Allow)
	if err != nil {
		return nil, err
	}
	d := &dialing{dialer: &net.Dialer{Timeout: dialTimeout, Control: allowed.control}}
	if config.CAFile == "" {
		return d, nil
	}
	text, err := os.ReadFile(config.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	d.roots = x509.NewCertPool()
	if !d.roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca_file: %s has no certificate in PEM", config.CAFile)
	}
	return d, nil
}

// client returns a client that dials what is allowed, follows no redirect and uses no proxy.
func (d *dialing) client() *http.Client {
	return &http.Client{
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: d.dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: d.roots}, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
	}
}
