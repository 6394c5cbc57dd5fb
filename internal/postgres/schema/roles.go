package schema

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/xdg-go/scram"

	"heartbeat/internal/postgres"
)

// Role is a role of the database, see roles.sql.
type Role string

// The roles that processes sign in as.
const (
	IngestRole    Role = "heartbeat_ingest"    // consume, deadletter
	DashboardRole Role = "heartbeat_dashboard" // serve, verify
	OperatorRole  Role = "heartbeat_operator"  // serve, for what people do to alarms and limits
	NotifyRole    Role = "heartbeat_notify"    // notify
	GatewayRole   Role = "heartbeat_gateway"   // ingest
	GrafanaRole   Role = "heartbeat_grafana"
)

//go:embed roles.sql
var rolesSQL string

// ApplyRoles creates missing roles and sets the privileges of each. A role with a password in the map may sign in with it; the others
// stay as they are. Call it after each migration, as a user who owns the database and may create roles.
func ApplyRoles(ctx context.Context, pool *pgxpool.Pool, passwords map[Role]string) error {
	names, err := objects()
	if err != nil {
		return err
	}
	conn, err := postgres.ConnectUnlimited(ctx, pool, nil)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // releases the lock
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("lock schema for roles: %w", err)
	}
	err = applyRoles(ctx, conn, names, passwords)
	// Roles belong to the server and the lock to a database: another database's roles may be applied at the same moment.
	for attempt := 1; attempt < roleAttempts && changedMeanwhile(err); attempt++ {
		err = applyRoles(ctx, conn, names, passwords)
	}
	if err != nil {
		return fmt.Errorf("apply roles: %w", err)
	}
	return nil
}

const roleAttempts = 10

// changedMeanwhile reports whether another transaction changed the same role: it created it, or PostgreSQL's catalogue was updated.
func changedMeanwhile(err error) bool {
	serverError, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (serverError.Code == "23505" || serverError.Code == "XX000")
}

func applyRoles(ctx context.Context, conn *pgx.Conn, names []string, passwords map[Role]string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('heartbeat.objects', $1, true)`, strings.Join(names, ",")); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, rolesSQL); err != nil {
			return err
		}
		for role, password := range passwords {
			if err := admit(ctx, tx, role, password); err != nil {
				return err
			}
		}
		return nil
	})
}

// admit lets a role sign in with a password.
func admit(ctx context.Context, tx pgx.Tx, role Role, password string) error {
	if password == "" {
		return fmt.Errorf("admit %s: the password is empty", role)
	}
	verifier, err := scramVerifier(password)
	if err != nil {
		return fmt.Errorf("admit %s: %w", role, err)
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`ALTER ROLE %s LOGIN PASSWORD '%s'`, pgx.Identifier{string(role)}.Sanitize(), verifier))
	return err
}

// scramVerifier returns what PostgreSQL stores of a password, so that the password itself never reaches the server and its log.
func scramVerifier(password string) (string, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		return "", fmt.Errorf("the password has characters that SASLprep (RFC 4013) refuses: %w", err)
	}
	const iterations = 4096 // PostgreSQL's own
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored.StoredKey), encode(stored.ServerKey)), nil
}
