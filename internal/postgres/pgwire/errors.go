package pgwire

import "github.com/jackc/pgx/v5/pgconn"

// StatementError is the server's error for one statement of a pipeline. The transaction is not committed and the session remains
// usable.
type StatementError struct {
	Statement string // its name
	Err       *pgconn.PgError
}

func (e *StatementError) Error() string { return e.Statement + ": " + e.Err.Error() }

// Unwrap returns the server's error.
func (e *StatementError) Unwrap() error { return e.Err }

// CommitError is an error of sending a transaction with its COMMIT or of waiting for the reply.
type CommitError struct {
	Err  error
	Sent bool // the server may have received the COMMIT, so the transaction may be committed
}

func (e *CommitError) Error() string { return "commit: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *CommitError) Unwrap() error { return e.Err }
