package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/postgres/ingest"
	"heartbeat/internal/readmodel"
)

type deadletterCommand struct {
	List   deadletterList   `cmd:"" help:"List dead letters, newest first."`
	Show   deadletterShow   `cmd:"" help:"Show one dead letter with its bytes."`
	Replay deadletterReplay `cmd:"" help:"Decode again and store what is a reading after all; as often as you like, stored once."`
}

type deadletterFlags struct {
	postgresFlags `group:"PostgreSQL"`

	JSON bool `name:"json" help:"Print as JSON."`
}

func (f deadletterFlags) open(ctx context.Context, env *environment) (*app.DeadLetters, error) {
	database, err := f.options("deadletter")
	if err != nil {
		return nil, err
	}
	return app.OpenDeadLetters(ctx, database, env.logger)
}

type deadletterList struct {
	deadletterFlags

	Reason  string `help:"Only this reason, such as not_json."`
	Pending bool   `help:"Only those not replayed."`
	Before  int64  `placeholder:"ID" help:"Only those older than this one: the next page."`
	Limit   int    `default:"50" help:"How many at most (${default})."`
}

// Run prints a page of dead letters.
func (c *deadletterList) Run(ctx context.Context, env *environment) error {
	letters, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer letters.Close()
	page, err := letters.List(ctx, readmodel.DeadLetterQuery{Before: c.Before, Reason: c.Reason, Pending: c.Pending, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, page)
	}
	table := newTable(env.stdout, "ID", "RECORDED", "REASON", "CUSTOMER", "WHERE", "BYTES", "REPLAYED", "DETAIL")
	for _, letter := range page {
		where := fmt.Sprintf("%s/%d@%d", letter.Topic, letter.Partition, letter.Offset)
		table.row(letter.ID, letter.RecordedAt.UTC().Format(time.RFC3339), letter.Reason, textOrDash(deref(letter.Customer)), where, letter.Length,
			yesNo(letter.ReplayedAt != nil), letter.Detail)
	}
	if err := table.flush(); err != nil {
		return err
	}
	if len(page) == c.Limit {
		fmt.Fprintf(env.stdout, "more: --before %d\n", page[len(page)-1].ID)
	}
	return nil
}

type deadletterShow struct {
	deadletterFlags

	ID int64 `arg:"" help:"Of the dead letter."`
}

// Run prints one dead letter.
func (c *deadletterShow) Run(ctx context.Context, env *environment) error {
	letters, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer letters.Close()
	letter, err := letters.Show(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("show dead letter %d: %w", c.ID, err)
	}
	if c.JSON {
		return writeJSON(env.stdout, letter)
	}
	for _, line := range [...][2]string{
		{"id", strconv.FormatInt(letter.ID, 10)},
		{"reason", letter.Reason},
		{"detail", letter.Detail},
		{"customer", textOrDash(deref(letter.Customer))},
		{"where", fmt.Sprintf("%s/%d@%d", letter.Topic, letter.Partition, letter.Offset)},
		{"recorded", letter.RecordedAt.UTC().Format(time.RFC3339)},
		{"replayed", yesNo(letter.ReplayedAt != nil)},
		{"bytes", fmt.Sprintf("%d, SHA-256 %s", letter.Length, letter.SHA256)},
		{"key", strconv.Quote(string(letter.Key))},
		{"value", strconv.Quote(string(letter.Value))},
	} {
		fmt.Fprintf(env.stdout, "%-9s %s\n", line[0], onOneLine(line[1]))
	}
	return nil
}

type deadletterReplay struct {
	deadletterFlags

	IDs []int64 `arg:"" name:"id" help:"Of the dead letters."`
}

// Run replays. It fails when one of them is no reading still.
func (c *deadletterReplay) Run(ctx context.Context, env *environment) error {
	letters, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer letters.Close()
	outcomes := []readmodel.Replay{}
	failed := false
	for _, id := range c.IDs {
		outcome, err := letters.Replay(ctx, id)
		if err != nil {
			return err
		}
		failed = failed || outcome.Outcome == ingest.ReplayRejected
		outcomes = append(outcomes, outcome)
	}
	if c.JSON {
		err = writeJSON(env.stdout, outcomes)
	} else {
		for _, outcome := range outcomes {
			fmt.Fprintf(env.stdout, "%d  %s: %s\n", outcome.ID, outcome.Outcome, onOneLine(outcome.Detail))
		}
	}
	if err == nil && failed {
		return errFailed
	}
	return err
}
