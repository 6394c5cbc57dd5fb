package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// Remove deletes the data that Start keeps in dir, so that the next start begins with none. A server
// that a killed run left behind on it is stopped first.
func Remove(ctx context.Context, dir string, logger *slog.Logger) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	dir, release, err := claimDir(dir)
	if err != nil {
		return fmt.Errorf("remove PostgreSQL data: %w", err)
	}
	data := filepath.Join(dir, "data")
	c := &cluster{dir: data, account: serverAccount(data), log: logger.With("component", "postgres")}
	err = c.stopOrphan(ctx)
	if err == nil {
		err = errors.Join(os.RemoveAll(data), os.RemoveAll(c.passwordFile()))
	}
	if err := errors.Join(err, release()); err != nil {
		return fmt.Errorf("remove PostgreSQL data: %w", err)
	}
	return nil
}
