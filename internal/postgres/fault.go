package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/pipeline"
)

// fault wraps an error of doing something and says what to do about it. When the caller gave up it is the context's.
func fault(ctx context.Context, doing string, err error) error {
	if _, classed := errors.AsType[*pipeline.Fault](err); classed {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ended := ctx.Err()
	if commit, ok := errors.AsType[*commitError](err); ok && commit.sent {
		return &pipeline.Fault{Kind: pipeline.OutcomeUnknown, Err: fmt.Errorf("%s: %w", doing, errors.Join(err, ended))}
	}
	if ended != nil {
		return fmt.Errorf("%s: %w (%w)", doing, ended, err)
	}
	return &pipeline.Fault{Kind: kindOf(err), Err: fmt.Errorf("%s: %w", doing, err)}
}

// commitError is an error of sending a transaction with its COMMIT, or of waiting for the answer. A server that ends the session,
// or silence, leaves open whether it was committed before.
type commitError struct {
	err  error
	sent bool // the server may have got it
}

func (e *commitError) Error() string { return "commit: " + e.err.Error() }

func (e *commitError) Unwrap() error { return e.err }

// kindOf classes an error of pgx. The table is design's: outages are waited out, bad data is searched for, and what
// nobody foresaw stops the partition.
func kindOf(err error) pipeline.Kind {
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok {
		return kindOfState(refusal.Code)
	}
	if isOutage(err) {
		return pipeline.Transient
	}
	return pipeline.Fatal
}

func kindOfState(sqlstate string) pipeline.Kind {
	switch sqlstate {
	case "57014", // statement_timeout
		"25P03", "25P04": // idle_in_transaction_session_timeout, transaction_timeout
		return pipeline.Transient
	}
	if len(sqlstate) < 3 {
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

// isOutage tells whether an error that is no answer of the server comes from the network or from waiting too long.
func isOutage(err error) bool {
	_, network := errors.AsType[net.Error](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return network || connecting || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
