package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"heartbeat/internal/auth"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/userstore"
	"heartbeat/internal/users"
)

// ConsoleOptions say to whom the console answers, and how.
type ConsoleOptions struct {
	Token      string     // of machines; empty: none
	TokenRole  users.Role // empty: viewer
	MaxViewers int        // 0: the console's default
	BasePath   string     // below which a reverse proxy offers the console; empty for the root
	Hosts      []string   // names under which a reverse proxy does

	ProxyUserHeader string     // in which a trusted proxy names the user; empty: none does
	TrustedProxies  []string   // networks, or addresses, of those proxies
	ProxyRole       users.Role // of names that are no users; empty: they are refused

	AuditReads  bool // record who reads one person's data
	LocalAlways bool // without a token this machine is the local operator, users or not
}

const (
	consolePort = 8080
	openTimeout = 5 * time.Second
)

// ListenConsole binds the console's address, so that its URL is known before anything else starts. An empty address is
// the default one, whose port gives way when it is taken. An address that other machines can reach is refused where these could not
// be asked to sign in: the database, if one is given, says whether there are users.
func ListenConsole(ctx context.Context, address string, console ConsoleOptions, database *postgres.Options) (net.Listener, error) {
	open := console.Token != "" || console.ProxyUserHeader != ""
	if host, _, err := net.SplitHostPort(address); err == nil && !open && database != nil && !port.Loopback(host) {
		exist, err := usersExist(ctx, *database)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: without a token the console needs users who sign in, and the database did not say whether there are any: "+
				"set HEARTBEAT_TOKEN, or start the database: %w", address, err)
		}
		open = exist
	}
	return httpserver.Listen(httpserver.Address{Asked: address, Default: consolePort, Open: open})
}

func usersExist(ctx context.Context, database postgres.Options) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	pool, err := postgres.Open(ctx, database)
	if err != nil {
		return false, err
	}
	defer pool.Close()
	return userstore.New(pool).Any(ctx)
}

// Check refuses options that contradict each other, naming their flags.
func (o ConsoleOptions) Check() error {
	proxies, err := o.proxies()
	switch {
	case err != nil:
		return err
	case (o.ProxyUserHeader == "") != (len(proxies) == 0):
		return errors.New("--proxy-user-header and --trusted-proxies: want both or none: a user header counts from named addresses only")
	case o.ProxyUserHeader == "" && o.ProxyRole != "":
		return errors.New("--proxy-default-role: want --proxy-user-header with it")
	case strings.ContainsFunc(o.ProxyUserHeader, func(r rune) bool { return !headerCharacter(r) }):
		return fmt.Errorf("--proxy-user-header %q: want the name of a header, such as X-Forwarded-User", o.ProxyUserHeader)
	case http.CanonicalHeaderKey(o.ProxyUserHeader) == "Authorization", http.CanonicalHeaderKey(o.ProxyUserHeader) == "Cookie":
		return fmt.Errorf("--proxy-user-header %s: this header carries credentials: want one that the proxy sets itself", o.ProxyUserHeader)
	}
	return nil
}

func headerCharacter(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

func (o ConsoleOptions) proxies() (networks []netip.Prefix, err error) {
	for _, text := range o.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies %q: want networks such as 10.0.0.0/8, or addresses", text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// access says who may do what on a console that listens there.
func (o ConsoleOptions) access(store auth.Store, listener net.Listener) (auth.Options, error) {
	proxies, err := o.proxies()
	options := auth.Options{
		Store: store, Token: o.Token, TokenRole: o.TokenRole, ProxyHeader: o.ProxyUserHeader, TrustedProxies: proxies, ProxyRole: o.ProxyRole,
		AuditReads: o.AuditReads,
	}
	host, _, _ := net.SplitHostPort(listener.Addr().String())
	switch {
	case !port.Loopback(host):
		options.Local = auth.LocalNever
	case o.LocalAlways:
		options.Local = auth.LocalAlways
	}
	return options, err
}
