package postgres

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say which database to use and as what.
type Options struct {
	URL string // postgres://user:password@host:port/database?…; wins over the five fields below

	Host     string // a name, an address, several of them separated by commas, or the directory of a Unix socket
	Port     int
	Database string
	User     string
	Password string
	// ReadPassword, where it is not nil, gives the password of each new session, so that one that changes in its file is used without a
	// restart. It takes the place of Password, and of a password that URL lacks.
	ReadPassword func() (string, error)

	SSLMode     string // as libpq has it, such as verify-full; empty leaves it to the address and the environment
	SSLRootCert string // file of the authorities to trust, in PEM; as SSLMode

	// Schema holds the tables of this Heartbeat. Empty leaves it to the search_path in URL, and without one to public.
	Schema string

	Role     string // what the process does, such as consume: sessions are named heartbeat-<role>
	MaxConns int32  // 0: four, or the number of cores where that is more

	// KeepReadOnly leaves a role's or database's default_transaction_read_only as it is, for processes whose role may be one that only
	// reads. Others write: their sessions set it off.
	KeepReadOnly bool
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
		if err := checkURL(o.URL); err != nil {
			return "", err
		}
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
		var hosts []string
		for host := range strings.SplitSeq(o.Host, ",") {
			hosts = append(hosts, net.JoinHostPort(strings.TrimSpace(host), port))
		}
		address.Host = strings.Join(hosts, ",")
	}
	return o.secure(address.String())
}

var errURL = errors.New("DATABASE_URL cannot be read unambiguously: want postgres://user:password@host:port/database, in which user and password " +
	"have special characters percent-encoded (@ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25)")

// checkURL refuses a connection URL in which a part of the password could be taken for a host. Its error quotes nothing of the URL.
func checkURL(text string) error {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL || strings.ContainsAny(scheme, "= '") {
		if !strings.Contains(text, "=") {
			return errURL
		}
		return nil // keywords and values
	}
	parsed, err := url.Parse(text)
	if err != nil || (scheme != "postgres" && scheme != "postgresql") || parsed.Fragment != "" {
		return errURL
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	before, _, _ := strings.Cut(path, "?")
	if strings.Count(authority, "@") > 1 || strings.Contains(before, "@") || !strings.Contains(authority, "@") && strings.Contains(path, "@") {
		return errURL
	}
	return nil
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

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// CheckSchema refuses a name that SQL would not take without quotes, or that PostgreSQL keeps for itself. Empty is the default.
func CheckSchema(name string) error {
	if name != "" && (!schemaName.MatchString(name) || strings.HasPrefix(name, "pg_") || name == "information_schema") {
		return fmt.Errorf("POSTGRES_SCHEMA %q: want a name of up to 63 lower-case letters, digits and underscores that begins with no digit and not with pg_", name)
	}
	return nil
}

// config parses the options as the driver needs them.
func (o Options) config() (*pgxpool.Config, error) {
	config, err := o.parse()
	if err != nil || o.ReadPassword == nil || o.URL != "" && config.ConnConfig.Password != "" {
		return config, err
	}
	if config.ConnConfig.Password, err = o.ReadPassword(); err != nil {
		return nil, fmt.Errorf("read database options: %w", err)
	}
	return config, nil
}

func (o Options) parse() (*pgxpool.Config, error) {
	address, err := o.address()
	if err = errors.Join(err, CheckSchema(o.Schema)); err != nil {
		return nil, fmt.Errorf("read database options: %w", err)
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		// The error quotes the connection string, and its own redaction fails on malformed ones: only the cause is safe, and only where
		// the string is a URL that was checked.
		if err := blame(address); err != nil {
			return nil, fmt.Errorf("read database options: %w", err)
		}
		if !strings.Contains(address, "://") {
			return nil, errors.New("read database options: DATABASE_URL has a keyword or value that cannot be read")
		}
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		} else {
			err = errors.New("a parameter has an invalid value")
		}
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
