package postgres

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say which database to use and as what.
type Options struct {
	URL string // postgres://user:password@host:port/database?…; wins over the five fields below

	Host     string // a name, an address, or the directory of a Unix socket
	Port     int
	Database string
	User     string
	Password string

	SSLMode     string // as libpq has it, such as verify-full; empty leaves it to the address and the environment
	SSLRootCert string // file of the authorities to trust, in PEM; as SSLMode

	Role     string // what the process does, such as consume: sessions are named heartbeat-<role>
	MaxConns int32  // 0: four, or the number of cores where that is more
}

// WithDatabase returns the options for another database of the same server.
func (o Options) WithDatabase(name string) (Options, error) {
	text, err := o.address()
	if err != nil {
		return o, err
	}
	address, err := url.Parse(text)
	if err != nil {
		return o, errors.New("read database address: want postgres://user@host:port/name") // the text may hold a password
	}
	address.Path = "/" + name
	o.URL = address.String()
	return o, nil
}

// address returns the connection string. What it leaves out, such as sslmode, comes from libpq's environment.
func (o Options) address() (string, error) {
	if o.URL != "" {
		return o.secure(o.URL)
	}
	if o.Host == "" || o.Database == "" || o.User == "" {
		return "", errors.New("host, database and user must be given")
	}
	port := strconv.Itoa(cmp.Or(o.Port, 5432))
	address := url.URL{Scheme: "postgres", User: url.UserPassword(o.User, o.Password), Path: "/" + o.Database}
	if filepath.IsAbs(o.Host) {
		address.RawQuery = url.Values{"host": {o.Host}, "port": {port}}.Encode()
	} else {
		address.Host = net.JoinHostPort(o.Host, port)
	}
	return o.secure(address.String())
}

// secure adds the settings for TLS, which win over those in the address.
func (o Options) secure(address string) (string, error) {
	if o.SSLMode == "" && o.SSLRootCert == "" {
		return address, nil
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme == "" {
		return "", errors.New("the address is no URL, so POSTGRES_SSLMODE and POSTGRES_SSLROOTCERT cannot be added to it")
	}
	query := parsed.Query()
	if o.SSLMode != "" {
		query.Set("sslmode", o.SSLMode)
	}
	if o.SSLRootCert != "" {
		query.Set("sslrootcert", o.SSLRootCert)
	}
	parsed.RawQuery = query.Encode()
	return parsed.String(), nil
}

// config parses the options as the driver needs them.
func (o Options) config() (*pgxpool.Config, error) {
	address, err := o.address()
	if err != nil {
		return nil, fmt.Errorf("read database options: %w", err)
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("read database options: %w", err)
	}
	return config, nil
}

// PlainHosts returns the hosts that may be reached without TLS, as with sslmode=prefer when the server has no certificate. A Unix
// socket is not among them.
func PlainHosts(options Options) ([]string, error) {
	config, err := options.config()
	if err != nil {
		return nil, err
	}
	var hosts []string
	add := func(host string, secure *tls.Config) {
		if secure == nil && !filepath.IsAbs(host) && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	add(config.ConnConfig.Host, config.ConnConfig.TLSConfig)
	for _, fallback := range config.ConnConfig.Fallbacks {
		add(fallback.Host, fallback.TLSConfig)
	}
	return hosts, nil
}

// Describe names a database for people, without its password.
func Describe(options Options) string {
	config, err := options.config()
	if err != nil {
		return "not readable"
	}
	return fmt.Sprintf("%s:%d, database %s, user %s", config.ConnConfig.Host, config.ConnConfig.Port, config.ConnConfig.Database, config.ConnConfig.User)
}
