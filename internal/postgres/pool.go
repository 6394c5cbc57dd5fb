package postgres

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is a pool of sessions. The name lets others hold one without knowing the driver.
type Pool = pgxpool.Pool

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

// secure adds the settings for TLS, which win over those in the address: who sets them means them.
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

// Open returns a pool of sessions that keep to this package's rules. It connects on first use: Ping tells whether there
// is a database at all.
func Open(ctx context.Context, options Options) (*pgxpool.Pool, error) {
	address, err := options.address()
	if err != nil {
		return nil, fmt.Errorf("read database options: %w", err)
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("read database options: %w", err)
	}
	if options.MaxConns > 0 {
		config.MaxConns = options.MaxConns
	}
	setUpSession(&config.ConnConfig.Config, options.Role)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	return pool, nil
}

const (
	connectTimeout = 10 * time.Second
	// statementTimeout bounds a statement, and with it how long one waits for a lock.
	statementTimeout = 30 * time.Second
	// idleTimeout ends the session of a process that was stopped within a transaction, and with it its hold on a
	// partition's progress.
	idleTimeout = 15 * time.Second
)

// setUpSession sets what every session needs. What the connection string sets itself stays.
func setUpSession(config *pgconn.Config, role string) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	config.DialFunc = dialer.DialContext
	for name, value := range map[string]string{
		"application_name":                    "heartbeat-" + cmp.Or(role, "client"),
		"client_encoding":                     "UTF8",
		"timezone":                            "UTC",
		"datestyle":                           "ISO, MDY",
		"search_path":                         "public",
		"statement_timeout":                   milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
		"tcp_keepalives_idle":                 "15", // seconds; so that the server, too, notices a machine that is gone
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
		"jit":                                 "off", // compiling a query over many partitions takes longer than running it
	} {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Ping tells whether the database answers. Its error says what to do.
func Ping(ctx context.Context, pool *pgxpool.Pool) error {
	err := pool.Ping(ctx)
	if err == nil {
		return nil
	}
	config := pool.Config().ConnConfig
	return fmt.Errorf("connect to PostgreSQL at %s:%d, database %s, as %s: %w: %s",
		config.Host, config.Port, config.Database, config.User, err, advice(err))
}

// untrusted tells whether a server could not prove that it is the one that we mean.
func untrusted(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, wrongName := errors.AsType[x509.HostnameError](err)
	return untrusted || unknown || wrongName
}

// speaksNoTLS tells whether a server has no TLS to offer. The library has no type for it.
func speaksNoTLS(err error) bool {
	return strings.Contains(err.Error(), "server refused TLS connection")
}

// advice tells a person what to do about a database that cannot be reached.
func advice(err error) string {
	refusal, answered := errors.AsType[*pgconn.PgError](err)
	if !answered {
		if untrusted(err) {
			return "the server's certificate is not trusted: set POSTGRES_SSLROOTCERT to the authority that signed it, and POSTGRES_HOST to the name in it"
		}
		if speaksNoTLS(err) {
			return "the server does not speak TLS: turn it on there, or choose another POSTGRES_SSLMODE where the network is yours alone"
		}
		return "is it running there? Check POSTGRES_HOST and POSTGRES_PORT"
	}
	switch refusal.Code {
	case "28P01", "28000":
		return "check POSTGRES_USER and POSTGRES_PASSWORD, and the server's pg_hba.conf"
	case "3D000":
		return "create the database, or check POSTGRES_DB"
	case "53300":
		return "the server has no free connection: raise its max_connections or run fewer processes"
	case "57P03":
		return "the server is starting up or shutting down: try again in a moment"
	default:
		return "see the server's log"
	}
}
