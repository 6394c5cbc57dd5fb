package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is a pool of sessions. The name lets others hold one without knowing the driver.
type Pool = pgxpool.Pool

// Open returns a pool of sessions that keep to this package's rules. It connects on first use: Ping reports whether there
// is a database at all.
func Open(ctx context.Context, options Options) (*pgxpool.Pool, error) {
	config, err := options.config()
	if err != nil {
		return nil, err
	}
	if options.MaxConns > 0 {
		config.MaxConns = options.MaxConns
	}
	setUpSession(&config.ConnConfig.Config, options)
	config.BeforeConnect = func(_ context.Context, conn *pgx.ConnConfig) error {
		current, err := options.config()
		if err != nil {
			return err
		}
		conn.Password = current.ConnConfig.Password
		return nil
	}
	var pool atomic.Pointer[pgxpool.Pool]
	closeOnError := config.ConnConfig.OnPgError
	config.ConnConfig.OnPgError = func(conn *pgconn.PgConn, serverError *pgconn.PgError) bool {
		if pool := pool.Load(); pool != nil && serverError.Code == readOnlyTransaction {
			pool.Reset() // all sessions are on the same server; those in use end when they are released
		}
		return closeOnError(conn, serverError)
	}
	opened, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	pool.Store(opened)
	return opened, nil
}

const (
	connectTimeout = 10 * time.Second
	// statementTimeout bounds a statement, and with it how long one waits for a lock.
	statementTimeout = 30 * time.Second
	// idleTimeout ends the session of a process that was stopped within a transaction, and with it its hold on a
	// partition's progress.
	idleTimeout = 15 * time.Second
)

// startup returns parameters that every server and pooler accepts with a connection; PgBouncer refuses all others. Statements rely on
// them: they win over the connection string and libpq's environment, such as PGTZ, and over defaults of role and database.
func startup() map[string]string {
	return map[string]string{
		"client_encoding":             "UTF8",
		"timezone":                    "UTC",
		"datestyle":                   "ISO, MDY",
		"standard_conforming_strings": "on",
	}
}

// settings are set after connecting.
func settings(schema string) map[string]string {
	return map[string]string{
		"search_path":                         cmp.Or(schema, "public"),
		"statement_timeout":                   milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
		"tcp_keepalives_idle":                 "15", // seconds; so that the server, too, notices a machine that is gone
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
		"jit":                                 "off", // compiling a query over many partitions takes longer than running it
		// Maintenance and claims re-read a row after waiting for its lock, which other levels answer with an error.
		"default_transaction_isolation":  "read committed",
		"default_transaction_deferrable": "off",
		"bytea_output":                   "hex",
		"intervalstyle":                  "postgres",
		"extra_float_digits":             "1",
	}
}

// setUpSession sets what every session needs. Other parameters of the connection string stay. A server that is not the primary is
// refused, so that after a failover the pool finds the new one.
func setUpSession(config *pgconn.Config, options Options) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	config.DialFunc = dialer.DialContext
	if config.ValidateConnect == nil {
		config.ValidateConnect = validatePrimary
	}
	// Names of parameters are case-insensitive.
	maps.DeleteFunc(config.RuntimeParams, func(name, _ string) bool {
		_, ours := startup()[strings.ToLower(name)]
		return ours || options.Schema != "" && strings.EqualFold(name, "search_path")
	})
	maps.Copy(config.RuntimeParams, startup())
	if _, given := config.RuntimeParams["application_name"]; !given {
		config.RuntimeParams["application_name"] = "heartbeat-" + cmp.Or(options.Role, "client")
	}
	var set strings.Builder
	for name, value := range settings(options.Schema) {
		if _, given := config.RuntimeParams[name]; !given {
			fmt.Fprintf(&set, "SET %s = '%s';", name, value)
		}
	}
	if !options.KeepReadOnly {
		set.WriteString(writeAgainstDefault)
	}
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, set.String()).ReadAll()
		return err
	}
}

// readOnlyServer is true where the administrator made the whole server read-only. A default of a role or a database says nothing about
// the server.
const readOnlyServer = `EXISTS (SELECT FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on' AND source IN ('configuration file', 'command line'))`

const primaryQuery = `SELECT pg_is_in_recovery() OR ` + readOnlyServer

// writeAgainstDefault sets nothing where the default is off, so that a server which becomes read-only later refuses the session's writes.
const writeAgainstDefault = `
SELECT set_config('default_transaction_read_only', 'off', false)
 WHERE current_setting('default_transaction_read_only') = 'on' AND NOT ` + readOnlyServer

var errNotPrimary = errors.New("the server is not the primary: it is in recovery or read-only")

// validatePrimary refuses a standby and a read-only server.
func validatePrimary(ctx context.Context, conn *pgconn.PgConn) error {
	results, err := conn.Exec(ctx, primaryQuery).ReadAll()
	if err != nil {
		return err
	}
	if string(results[0].Rows[0][0]) == "t" {
		return errNotPrimary
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Ping reports whether the database answers and no pooler mixes up sessions. Its error says what to do.
func Ping(ctx context.Context, pool *pgxpool.Pool) error {
	err := checkPooler(ctx, pool)
	if err == nil || errors.Is(err, ErrTransactionPooling) {
		return err
	}
	config := pool.Config().ConnConfig
	return fmt.Errorf("connect to PostgreSQL at %s:%d, database %s, as %s: %w: %s",
		config.Host, config.Port, config.Database, config.User, err, advice(err))
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// ConnectUnlimited opens a session outside the pool, whose statements may run for any length of time. The change, if not nil, adjusts
// the session's options before it connects.
func ConnectUnlimited(ctx context.Context, pool *pgxpool.Pool, change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	options := pool.Config()
	config := options.ConnConfig
	if err := options.BeforeConnect(ctx, config); err != nil {
		return nil, fmt.Errorf("connect to database: %w", err)
	}
	if change != nil {
		change(config)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to database: %w", err)
	}
	if _, err := conn.Exec(ctx, `SET statement_timeout = 0`); err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("set up session: %w", err)
	}
	return conn, nil
}

// RollBack makes a session usable again after an error. A session that cannot be rolled back is discarded by the pool.
func RollBack(ctx context.Context, conn *pgx.Conn) {
	const idle = 'I'
	if conn.IsClosed() || conn.PgConn().TxStatus() == idle {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, `ROLLBACK`)
}
