package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/app"
	"heartbeat/internal/dryrun"
)

type limitsTry struct {
	alarmFlags
	kafkaFlags `group:"Kafka"`

	File string    `arg:"" help:"JSON: a list of limits as limits list --json prints them; only scope, customer_id or cohort, low or high are needed. - is the standard input."`
	From time.Time `placeholder:"TIME" help:"Begin of the readings, such as 2026-02-20T10:00:00Z; 24 hours before the end unless given."`
	To   time.Time `placeholder:"TIME" help:"End of the readings; now unless given."`
}

// Help says what is tried.
func (limitsTry) Help() string {
	return `It runs the detector over the readings that are stored and that Kafka still has, twice: with the limits in force, and with those of the file added. It prints alarms a day for both, and the customers whose number changes. It sets no limit. A limit without effective_from is tried as if it had been in force all the time.

Examples:

    echo '[{"scope":"fleet","high":170}]' | heartbeat limits try -
    heartbeat limits try proposed.json --from=2026-02-20T00:00:00Z --to=2026-02-21T00:00:00Z`
}

// Validate refuses an empty period.
func (c *limitsTry) Validate() error {
	if over := c.over(time.Now()); !over.From.Before(over.To) {
		return fmt.Errorf("--from %s: want a time before %s", over.From.Format(time.RFC3339), over.To.Format(time.RFC3339))
	}
	return c.postgresFlags.Validate()
}

func (c *limitsTry) over(now time.Time) dryrun.Period {
	over := dryrun.Period{From: c.From, To: c.To}
	if over.To.IsZero() {
		over.To = now
	}
	if over.From.IsZero() {
		over.From = over.To.Add(-24 * time.Hour)
	}
	return over
}

// Run tries the limits and prints what would change.
func (c *limitsTry) Run(ctx context.Context, env *environment) error {
	proposed, err := c.proposed()
	if err != nil {
		return err
	}
	alarms, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	options := app.TryLimitsOptions{Kafka: c.config(env), Proposed: proposed, Over: c.over(time.Now())}
	if !c.JSON {
		options.Progress = func(what string) { fmt.Fprintln(env.stderr, what) }
	}
	result, err := alarms.TryLimits(ctx, options)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, result)
	}
	return printTrial(env, len(proposed), result)
}

func (c *limitsTry) proposed() (limits []alarm.Limit, err error) {
	var text []byte
	if c.File == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(c.File)
	}
	if err != nil {
		return nil, fmt.Errorf("read limits: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&limits); err != nil {
		return nil, fmt.Errorf("read limits of %s: %w; want a list such as [{\"scope\":\"fleet\",\"high\":170}]", c.File, err)
	}
	return limits, nil
}

// shownChanges is how many people the table names.
const shownChanges = 50

func printTrial(env *environment, limits int, r dryrun.Result) error {
	if r.Readings == 0 {
		text := "Kafka has no stored reading of that time"
		if r.Cut {
			text += ": its retention has deleted them"
		}
		_, err := fmt.Fprintln(env.stdout, text)
		return err
	}
	fmt.Fprintf(env.stdout, "%d limits tried on %d readings of %d customers from %s to %s, in %.1f s: %.1f s per million of %d readings, those before that time included\n\n",
		limits, r.Readings, r.Customers, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), r.Seconds, r.SecondsPerMillion(), r.Stepped)
	table := newTable(env.stdout, "ALARMS A DAY", "ALL", "RATE HIGH", "RATE LOW", "BAD SIGNAL")
	for _, row := range []struct {
		name   string
		alarms dryrun.Alarms
	}{{"now", r.Now}, {"proposed", r.Proposed}} {
		a := row.alarms
		perDay := func(n int) string { return fmt.Sprintf("%.1f", float64(n)/r.Days) }
		table.row(row.name, perDay(a.Total()), perDay(a.RateHigh), perDay(a.RateLow), perDay(a.BadSignal))
	}
	if err := table.flush(); err != nil {
		return err
	}
	if len(r.Changed) > 0 {
		fmt.Fprintln(env.stdout)
		table = newTable(env.stdout, "CUSTOMER", "ALARMS", "PROPOSED", "RATE HIGH", "RATE LOW")
		for i := range r.Changed[:min(len(r.Changed), shownChanges)] {
			p := &r.Changed[i]
			table.row(p.Customer, p.Now.Total(), p.Proposed.Total(), fmt.Sprintf("%d → %d", p.Now.RateHigh, p.Proposed.RateHigh), fmt.Sprintf("%d → %d", p.Now.RateLow, p.Proposed.RateLow))
		}
		if err := table.flush(); err != nil {
			return err
		}
	}
	if more := len(r.Changed) - shownChanges; more > 0 {
		fmt.Fprintf(env.stdout, "and %d more: --json lists them\n", more)
	}
	if len(r.Changed) == 0 {
		fmt.Fprintln(env.stdout, "\nno customer has more or fewer alarms")
	}
	if r.Cut {
		fmt.Fprintln(env.stdout, "Kafka no longer has all readings of that time: what its retention has deleted is missing")
	}
	if r.Undecided > 0 {
		fmt.Fprintf(env.stdout, "the log has too few readings of %d customers to compare them with what is stored\n", r.Undecided)
	}
	if r.Differences > 0 {
		fmt.Fprintf(env.stdout, "NOT OK  a dry run of the limits in force differs from the stored alarms in %d transitions: heartbeat verify --replay names them\n", r.Differences)
		return errFailed
	}
	return nil
}
