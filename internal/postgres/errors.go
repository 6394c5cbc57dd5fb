package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

// Classify wraps an error of doing something and says what to do about it. When the caller gave up it is the context's.
func Classify(ctx context.Context, doing string, err error) error {
	if _, classed := errors.AsType[*pipeline.Fault](err); classed {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ended := ctx.Err()
	if commit, ok := errors.AsType[*pgwire.CommitError](err); ok && commit.Sent {
		return &pipeline.Fault{Kind: pipeline.OutcomeUnknown, Err: fmt.Errorf("%s: %w", doing, errors.Join(err, ended))}
	}
	if ended != nil {
		return fmt.Errorf("%s: %w (%w)", doing, ended, err)
	}
	if serverError, ok := errors.AsType[*pgconn.PgError](err); ok && (serverError.Code == "42P05" || serverError.Code == "26000") {
		err = fmt.Errorf("%w: %w", err, ErrTransactionPooling)
	}
	if LacksRight(err) {
		err = fmt.Errorf("%w: %s", err, RightAdvice)
	}
	return &pipeline.Fault{Kind: kindOf(err), Err: fmt.Errorf("%s: %w", doing, err)}
}

// kindOf classifies an error of pgx: an outage is waited out, bad data is bisected, and any other error stops the partition.
func kindOf(err error) pipeline.Kind {
	if serverError, ok := errors.AsType[*pgconn.PgError](err); ok {
		return kindOfState(serverError.Code)
	}
	if isOutage(err) {
		return pipeline.Transient
	}
	return pipeline.Fatal
}

// RightAdvice says what to do about an error that LacksRight reports.
const RightAdvice = "the database user lacks a right: sign in as the role for this task, such as heartbeat_ingest (heartbeat migrate --roles creates the roles)"

// LacksRight reports whether the server refuses something because the user has no right to it.
func LacksRight(err error) bool {
	serverError, ok := errors.AsType[*pgconn.PgError](err)
	return ok && serverError.Code == insufficientPrivilege
}

const insufficientPrivilege = "42501"

// readOnlyTransaction is the SQLSTATE of a write on a server that accepts none, such as a former primary.
const readOnlyTransaction = "25006"

func kindOfState(sqlstate string) pipeline.Kind {
	switch sqlstate {
	case readOnlyTransaction,
		"57014",          // statement_timeout
		"25P03", "25P04": // idle_in_transaction_session_timeout, transaction_timeout
		return pipeline.Transient
	}
	// The encoding of the database lacks a character: the record is not to blame.
	if len(sqlstate) < 3 || sqlstate == "22P05" {
		return pipeline.Fatal
	}
	switch sqlstate[:2] {
	case "08", // connection
		"40", // serialization, deadlock
		"53", // out of resources
		"55": // lock not available
		return pipeline.Transient
	case "22", "23":
		return pipeline.BadData
	}
	if sqlstate[:3] == "57P" { // shutdown, start-up, crash
		return pipeline.Transient
	}
	return pipeline.Fatal
}

// isOutage reports whether an error that is no answer of the server comes from the network or from waiting too long.
func isOutage(err error) bool {
	_, network := errors.AsType[net.Error](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return network || connecting || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Unavailable reports whether an error is of a kind that passes by itself: an outage, not a wrong password.
func Unavailable(err error) bool {
	if serverError, ok := errors.AsType[*pgconn.PgError](err); ok {
		return kindOfState(serverError.Code) == pipeline.Transient
	}
	return isOutage(err) && !untrusted(err) && !speaksNoTLS(err)
}
