// Package devicestore keeps the devices that may send readings over HTTP in PostgreSQL, and reads them for a device.Registry.
//
// It refuses to see a token: it stores hashes that internal/device makes. It also refuses to cache: every call asks the database.
//
// A Store may be shared. It stands outside the path of a reading.
package devicestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/device"
	"heartbeat/internal/heartbeat"
)

// Store keeps devices.
type Store struct{ pool *pgxpool.Pool }

// New returns a Store on a pool, which stays the caller's.
func New(pool *pgxpool.Pool) *Store { return &Store{pool} }

const uniqueViolation = "23505"

// Add adds a device with the hash of its token. It fails with device.ErrExists for a name that is taken.
func (s *Store) Add(ctx context.Context, added device.Device, hash device.Hash) error {
	customer := ""
	if added.Scope == device.ForCustomer {
		customer = added.Customer.String()
	}
	_, err := s.pool.Exec(ctx, `
INSERT INTO devices (name, token_hash, scope, customer_id, cohort, rate)
VALUES (@name, @hash, @scope, nullif(@customer_id, ''), nullif(@cohort, ''), nullif(@rate, 0::double precision))`,
		pgx.StrictNamedArgs{
			"name": added.Name, "hash": hash[:], "scope": string(added.Scope), "customer_id": customer, "cohort": added.Cohort, "rate": added.Rate,
		})
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == uniqueViolation {
		err = device.ErrExists
	}
	if err != nil {
		return fmt.Errorf("add device %s: %w", added.Name, err)
	}
	return nil
}

// List returns all devices by name.
func (s *Store) List(ctx context.Context) ([]device.Registration, error) {
	rows, err := s.pool.Query(ctx, `
SELECT name, scope, customer_id, cohort, rate, created_at, rotated_at, CASE WHEN previous_until > now() THEN previous_until END, revoked_at
  FROM devices
 ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanRegistration)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return all, nil
}

func scanRegistration(row pgx.CollectableRow) (r device.Registration, err error) {
	err = row.Scan(&r.Name, &r.Scope, &r.Customer, &r.Cohort, &r.Rate, &r.CreatedAt, &r.RotatedAt, &r.PreviousUntil, &r.RevokedAt)
	r.CreatedAt = r.CreatedAt.UTC()
	for _, at := range []*time.Time{r.RotatedAt, r.PreviousUntil, r.RevokedAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	return r, err
}

// Rotate gives a device a new token. The one before is valid too for the overlap; one from before an earlier rotation ends at once.
// It fails with device.ErrNotFound or device.ErrRevoked.
func (s *Store) Rotate(ctx context.Context, name string, hash device.Hash, overlap time.Duration) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var revoked bool
		err := tx.QueryRow(ctx, `
SELECT revoked_at IS NOT NULL FROM devices WHERE name = $1 FOR UPDATE`, name).Scan(&revoked)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return device.ErrNotFound
		case err != nil:
			return err
		case revoked:
			return device.ErrRevoked
		}
		_, err = tx.Exec(ctx, `
UPDATE devices
   SET token_hash = @hash, rotated_at = now(),
       previous_hash  = CASE WHEN @overlap::interval > '0' THEN token_hash END,
       previous_until = CASE WHEN @overlap::interval > '0' THEN now() + @overlap::interval END
 WHERE name = @name`, pgx.StrictNamedArgs{"name": name, "hash": hash[:], "overlap": overlap})
		return err
	})
	if err != nil {
		return fmt.Errorf("rotate token of device %s: %w", name, err)
	}
	return nil
}

// Revoke ends all tokens of a device for good. Revoking twice changes nothing. It fails with device.ErrNotFound.
func (s *Store) Revoke(ctx context.Context, name string) error {
	tag, err := s.pool.Exec(ctx, `
UPDATE devices SET revoked_at = coalesce(revoked_at, now()), previous_hash = NULL, previous_until = NULL WHERE name = $1`, name)
	if err == nil && tag.RowsAffected() == 0 {
		err = device.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke device %s: %w", name, err)
	}
	return nil
}

// Devices returns every valid token with its device, and the present members of the cohorts that they name.
func (s *Store) Devices(ctx context.Context) (device.Snapshot, error) {
	credentials, err := s.credentials(ctx)
	if err != nil {
		return device.Snapshot{}, fmt.Errorf("read devices: %w", err)
	}
	cohorts, err := s.cohorts(ctx, credentials)
	if err != nil {
		return device.Snapshot{}, fmt.Errorf("read cohorts: %w", err)
	}
	return device.Snapshot{Credentials: credentials, Cohorts: cohorts}, nil
}

func (s *Store) credentials(ctx context.Context) ([]device.Credential, error) {
	rows, err := s.pool.Query(ctx, `
SELECT name, scope, coalesce(customer_id, ''), coalesce(cohort, ''), coalesce(rate, 0), hash, remaining
  FROM devices
  CROSS JOIN LATERAL (VALUES (token_hash, interval '0'), (previous_hash, previous_until - now())) AS token (hash, remaining)
 WHERE revoked_at IS NULL AND (hash = token_hash OR remaining > '0')`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (credential device.Credential, err error) {
		var customer string
		var hash []byte
		known := &credential.Device
		if err := row.Scan(&known.Name, &known.Scope, &customer, &known.Cohort, &known.Rate, &hash, &credential.Remaining); err != nil {
			return credential, err
		}
		credential.Hash = device.Hash(hash)
		if known.Scope == device.ForCustomer {
			known.Customer, err = heartbeat.ParseCustomerID(customer)
		}
		return credential, err
	})
}

// cohorts returns the members of those cohorts that a device is for: most installations have none, and then nothing is read.
func (s *Store) cohorts(ctx context.Context, credentials []device.Credential) (map[heartbeat.CustomerID]string, error) {
	var named []string
	for i := range credentials {
		if cohort := credentials[i].Device.Cohort; cohort != "" {
			named = append(named, cohort)
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, `
SELECT customer_id, cohort
  FROM (SELECT DISTINCT ON (customer_id) customer_id, cohort
          FROM cohort_members
         WHERE effective_from <= now()
         ORDER BY customer_id, effective_from DESC) AS member
 WHERE cohort = ANY ($1)`, named)
	if err != nil {
		return nil, err
	}
	members := map[heartbeat.CustomerID]string{}
	var id, cohort string
	_, err = pgx.ForEachRow(rows, []any{&id, &cohort}, func() error {
		customer, err := heartbeat.ParseCustomerID(id)
		members[customer] = cohort
		return err
	})
	return members, err
}
