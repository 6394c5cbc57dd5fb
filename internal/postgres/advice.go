package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// untrusted reports whether a server could not prove that it is the one that we mean.
func untrusted(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, wrongName := errors.AsType[x509.HostnameError](err)
	return untrusted || unknown || wrongName
}

// speaksNoTLS reports whether a server has no TLS to offer. The library has no type for it.
func speaksNoTLS(err error) bool {
	return strings.Contains(err.Error(), "server refused TLS connection")
}

// advice tells a person what to do about a database that cannot be reached.
func advice(err error) string {
	serverError, answered := errors.AsType[*pgconn.PgError](err)
	if !answered {
		if untrusted(err) {
			return "the server's certificate is not trusted: set POSTGRES_SSLROOTCERT to the authority that signed it, and POSTGRES_HOST to the name in it"
		}
		if speaksNoTLS(err) {
			return "the server does not speak TLS: turn it on there, or choose another POSTGRES_SSLMODE where the network is yours alone"
		}
		if errors.Is(err, errNotPrimary) {
			return "wait for the failover to end, or name the primary: several hosts may be given (POSTGRES_HOST=a,b or DATABASE_URL=postgres://user@a:5432,b:5432/name)"
		}
		return "is it running there? Check POSTGRES_HOST and POSTGRES_PORT"
	}
	switch serverError.Code {
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
