package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/export"
	"heartbeat/internal/heartbeat"
)

type exportCommand struct {
	postgresFlags `group:"PostgreSQL"`

	Customer []string  `placeholder:"CUSTOMER" xor:"whose" help:"Readings of these customers, such as CUST_00042,CUST_00043."`
	Cohort   string    `placeholder:"NAME" xor:"whose" help:"Readings of the customers who are in this cohort now."`
	All      bool      `xor:"whose" help:"Readings of all customers."`
	From     time.Time `placeholder:"TIME" help:"Event time of the first reading, such as 2026-02-20T00:00:00Z; the first one stored unless given."`
	To       time.Time `placeholder:"TIME" help:"Only readings before this event time; all that are stored unless given."`
	Format   string    `enum:"csv,ndjson,fhir,parquet" default:"csv" help:"csv, ndjson, fhir (Observations of R4, one on each line) or parquet (a directory: one file for each day and Kafka partition) (${default})."`
	Output   string    `default:"-" placeholder:"PATH" help:"File to write, for parquet a directory; - is the standard output (${default}). What exists is never overwritten."`
	JSON     bool      `name:"json" help:"Print the summary as JSON; needs --output."`
}

// Help says what an export holds.
func (exportCommand) Help() string {
	return `A file or directory has its name only when it is whole and on disk; until then it is a hidden one with .partial in its name beside it. heartbeat import reads csv, ndjson and fhir back without further options, and adds nothing where the readings are stored already. What was stored when the export began is in it once; of what is stored meanwhile, a part may be.

Examples:

    heartbeat export --customer=CUST_00042 --output=readings.csv
    heartbeat export --cohort=ward-3 --format=ndjson --from=2026-02-20T00:00:00Z --to=2026-02-21T00:00:00Z | gzip > day.ndjson.gz
    heartbeat export --all --format=parquet --output=readings`
}

// Validate refuses an export that names no readings or no time, and a directory as a stream.
func (c *exportCommand) Validate() error {
	if len(c.Customer) == 0 && c.Cohort == "" && !c.All {
		return errors.New("say whose readings: one of --customer, --cohort and --all")
	}
	for _, customer := range c.Customer {
		if _, err := heartbeat.ParseCustomerID(customer); err != nil {
			return fmt.Errorf("--customer: %w", err)
		}
	}
	if from, to := c.span(); !from.Before(to) {
		return fmt.Errorf("--from %s: want a time before %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	if c.Format == export.Parquet && c.Output == "-" {
		return errors.New("--format parquet writes a directory of files: name one with --output")
	}
	if c.JSON && c.Output == "-" {
		return errors.New("--json prints a summary to the standard output, where the readings go: name a file with --output")
	}
	return c.postgresFlags.Validate()
}

// span is the whole time of valid readings unless given.
func (c *exportCommand) span() (from, to time.Time) {
	from, to = c.From, c.To
	if from.IsZero() {
		from = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if to.IsZero() {
		to = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return from.UTC(), to.UTC()
}

// Run exports and prints a summary.
func (c *exportCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("export")
	if err != nil {
		return err
	}
	options := export.Options{Format: c.Format, Output: c.Output, Stdout: env.stdout, Progress: func(p export.Progress) {
		fmt.Fprintf(env.stderr, "%d readings, %.0f a second, about %.0f %% done\n", p.Readings, float64(p.Readings)/p.Elapsed.Seconds(), 100*p.Share)
	}}
	options.From, options.To = c.span()
	if len(c.Customer) > 0 {
		options.Customers = slices.Compact(slices.Sorted(slices.Values(c.Customer)))
	}
	summary, err := app.Export(ctx, app.ExportOptions{Database: database, Cohort: c.Cohort, Export: options, Logger: env.logger})
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("export interrupted after %d readings: %s", summary.Readings, c.remains())
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, summary)
	}
	fmt.Fprintf(env.stderr, "exported %d readings, %d of them anomalies, from %s to %s, to %s in %.1f s\n", summary.Readings, summary.Anomalies,
		summary.First.Format(time.RFC3339), summary.Last.Format(time.RFC3339), c.target(), summary.Seconds)
	for _, customer := range summary.Without {
		fmt.Fprintf(env.stderr, "no reading of %s is stored in that time\n", customer)
	}
	return nil
}

// remains says what is left of an export that did not end.
func (c *exportCommand) remains() string {
	if c.Output == "-" {
		return "what was printed is not all"
	}
	return "nothing is written to " + c.Output
}

func (c *exportCommand) target() string {
	if c.Output == "-" {
		return "the standard output"
	}
	return c.Output
}
