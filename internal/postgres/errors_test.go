package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
)

// An encoding of the database that lacks a character makes no dead letter; bytes that no encoding accepts do.
func TestEncodingErrorsAreClassed(t *testing.T) {
	t.Parallel()
	admin := pgtest.Admin(t)
	pgtest.Exec(t, admin, `CREATE DATABASE encoding_errors ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	latin := openAs(t, admin, "heartbeat_user", func(o *postgres.Options) {
		var err error
		if *o, err = (postgres.Options{URL: pgtest.URL(admin), Role: "test"}).WithDatabase("encoding_errors"); err != nil {
			t.Fatal(err)
		}
	})
	_, err := latin.Exec(t.Context(), `SELECT $1::text`, "심박수")
	if err == nil {
		t.Fatal("LATIN1 holds Hangul: the test proves nothing")
	}
	pgtest.WantKind(t, postgres.Classify(t.Context(), "write", err), pipeline.Fatal)
	pgtest.WantKind(t, postgres.Classify(t.Context(), "write", &pgconn.PgError{Code: "22021"}), pipeline.BadData)
}

// A missing right stops a partition, and the message says what to do.
func TestMissingRightIsExplained(t *testing.T) {
	t.Parallel()
	err := postgres.Classify(t.Context(), "claim", &pgconn.PgError{Code: "42501", Message: "permission denied for table ingest_progress"})
	fault, ok := errors.AsType[*pipeline.Fault](err)
	if !ok || fault.Kind != pipeline.Fatal || !postgres.LacksRight(err) || !strings.Contains(err.Error(), postgres.RightAdvice) {
		t.Errorf("classified as %v, want a fatal fault with advice", err)
	}
}
