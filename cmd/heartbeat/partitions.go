package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/postgres/partition"
)

type partitionsCommand struct {
	postgresFlags `group:"PostgreSQL"`

	Retention time.Duration `placeholder:"DURATION" help:"Show when a consumer with this retention drops what; without it everything is kept."`
	All       bool          `help:"Show empty partitions, too."`
	JSON      bool          `name:"json" help:"Print as JSON."`
}

// Validate refuses a retention that is none.
func (c partitionsCommand) Validate() error {
	if c.Retention < 0 {
		return fmt.Errorf("--retention %s: want 0 or more", c.Retention)
	}
	return c.postgresFlags.Validate()
}

// Run lists the partitions.
func (c *partitionsCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("partitions")
	if err != nil {
		return err
	}
	parts, err := app.Partitions(ctx, database, c.Retention, env.logger)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, parts)
	}
	return c.print(env.stdout, parts)
}

func (c *partitionsCommand) print(w io.Writer, parts []partition.Info) error {
	table := newTable(w, "PARTITION", "FROM", "TO", "ROWS (ABOUT)", "TABLE", "INDEXES", "AGE", "DROPPED")
	var shown, rows, bytes int64
	for _, part := range parts {
		rows += part.Rows
		bytes += part.TableBytes + part.IndexBytes
		if part.Rows == 0 && !c.All {
			continue
		}
		shown++
		table.row(part.Name, bound(part.From), bound(part.To), part.Rows, size(part.TableBytes), size(part.IndexBytes), age(part), bound(part.DropAt))
	}
	if err := table.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d partitions, %d of them with rows: about %d rows in %s\n", len(parts), shown, rows, size(bytes))
	if c.Retention == 0 {
		_, err = fmt.Fprintln(w, "Nothing is dropped without a retention: see heartbeat consume --retention.")
	}
	return err
}

// bound is a time of day, which partitions begin and end at.
func bound(at *time.Time) string {
	if at == nil {
		return "—"
	}
	return at.UTC().Format("2006-01-02 15:04Z")
}

func age(part partition.Info) string {
	if part.Age == 0 {
		return "in use"
	}
	return time.Duration(part.Age).Round(time.Minute).String()
}

func size(bytes int64) string {
	const unit = 1024
	if bytes < unit*unit {
		return fmt.Sprintf("%d KiB", bytes/unit)
	}
	if bytes < unit*unit*unit {
		return fmt.Sprintf("%.1f MiB", float64(bytes)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/unit/unit/unit)
}
