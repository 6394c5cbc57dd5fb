package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Role is a role of the database, see roles.sql.
type Role string

// The roles that processes sign in as.
const (
	IngestRole    Role = "heartbeat_ingest"    // consume, deadletter
	DashboardRole Role = "heartbeat_dashboard" // serve, verify
	GrafanaRole   Role = "heartbeat_grafana"
)

//go:embed roles.sql
var rolesSQL string

// ApplyRoles creates the roles where they are missing and grants each what it needs, and no more. A role that has a
// password in the map may sign in with it; the others stay as they are. It is to be called after each migration, by a
// user who owns the database and may create roles.
func ApplyRoles(ctx context.Context, pool *pgxpool.Pool, passwords map[Role]string) error {
	conn, err := connectUnhurried(ctx, pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // gives up the lock
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("lock schema for roles: %w", err)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
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
	if err != nil {
		return fmt.Errorf("apply roles: %w", err)
	}
	return nil
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

const scramIterations = 4096 // PostgreSQL's own

// scramVerifier returns what PostgreSQL stores of a password, so that the password itself never reaches the server and
// its log. Only ASCII is taken: other passwords would have to be normalised as RFC 4013 says.
func scramVerifier(password string) (string, error) {
	for _, r := range password {
		if r < 0x20 || r > 0x7e {
			return "", errors.New("the password has a character that is not printable ASCII")
		}
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	clientKey := keyed(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(storedKey[:]), encode(keyed(salted, "Server Key"))), nil
}

func keyed(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
