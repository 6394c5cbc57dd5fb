package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/app"
)

type alarmCommand struct {
	List    alarmList    `cmd:"" help:"List alarms: open ones, worst first, unless asked otherwise."`
	Show    alarmShow    `cmd:"" help:"Show one alarm with its history."`
	Ack     alarmAck     `cmd:"" help:"Acknowledge alarms: you have seen them."`
	Snooze  alarmSnooze  `cmd:"" help:"Silence alarms for a time, with a reason."`
	Close   alarmClose   `cmd:"" help:"Close alarms that are not active any more."`
	Assign  alarmAssign  `cmd:"" help:"Say who takes care of alarms."`
	Comment alarmComment `cmd:"" help:"Write a comment into the history of alarms."`
}

// alarmFlags reach the alarms in the database.
type alarmFlags struct {
	postgresFlags `group:"PostgreSQL"`

	JSON bool `name:"json" help:"Print as JSON."`
}

func (f alarmFlags) open(ctx context.Context, env *environment) (*app.Alarms, error) {
	database, err := f.options("alarm")
	if err != nil {
		return nil, err
	}
	return app.OpenAlarms(ctx, database, env.logger)
}

// actorFlags say who acts.
type actorFlags struct {
	As string `placeholder:"NAME" help:"Who acts, as the history says it; the name of the operating system's user unless given."`
}

func (f actorFlags) actor() (string, error) {
	if f.As != "" {
		return f.As, nil
	}
	current, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("find out who acts: %w; give --as", err)
	}
	return current.Username, nil
}

// change makes one change in the name of who acts. It prints the result as JSON, or the sentence that says what became of it.
func change[T any](ctx context.Context, env *environment, flags alarmFlags, who actorFlags, do func(*app.Alarms, string) (T, error), sentence func(*T) string) error {
	actor, err := who.actor()
	if err != nil {
		return err
	}
	alarms, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	result, err := do(alarms, actor)
	if err != nil {
		return err
	}
	if flags.JSON {
		return writeJSON(env.stdout, result)
	}
	_, err = fmt.Fprintln(env.stdout, sentence(&result))
	return err
}

type alarmList struct {
	alarmFlags

	State          alarm.Filter    `enum:"open,active,latched,closed,all" default:"open" help:"open (active or latched), active, latched (ended and not seen yet), closed or all (${default})."`
	Unacknowledged bool            `help:"Only those without an acknowledgement in force."`
	Condition      alarm.Condition `help:"Only this condition, such as rate_high."`
	Priority       string          `enum:",high,medium,low" default:"" help:"Only this priority: high, medium or low."`
	Subject        string          `placeholder:"CUSTOMER" help:"Only of this customer."`
	Cohort         string          `help:"Only of customers who are in this cohort now."`
	Person         string          `placeholder:"NAME" help:"Only those that this person acted on or has been assigned."`
	From           time.Time       `placeholder:"TIME" help:"Only raised at this time or later, such as 2026-02-20T10:00:00Z."`
	To             time.Time       `placeholder:"TIME" help:"Only raised before this time."`
	After          string          `placeholder:"CURSOR" help:"The page after this one, as the page before ends."`
	Limit          int             `default:"50" help:"How many at most (${default})."`
}

// Validate refuses filters that no alarm can match.
func (c *alarmList) Validate() error {
	_, err := c.query()
	return errors.Join(err, c.postgresFlags.Validate())
}

func (c *alarmList) query() (alarm.Query, error) {
	query := alarm.Query{
		Filter: c.State, Unacknowledged: c.Unacknowledged, Condition: c.Condition, Subject: c.Subject, Cohort: c.Cohort, Person: c.Person,
		From: c.From, To: c.To, Limit: c.Limit,
	}
	if c.Limit < 1 || c.Limit > 10_000 {
		return query, fmt.Errorf("--limit %d: want 1 to 10000", c.Limit)
	}
	if c.Condition != "" {
		if _, err := alarm.ParseCondition(string(c.Condition)); err != nil {
			return query, err
		}
	}
	if c.Priority != "" {
		priority, err := alarm.ParsePriority(c.Priority)
		if err != nil {
			return query, err
		}
		query.Priority = priority
	}
	if c.After != "" {
		cursor, err := alarm.ParseCursor(c.After)
		if err != nil {
			return query, err
		}
		query.After = &cursor
	}
	return query, nil
}

// Run prints a page of alarms.
func (c *alarmList) Run(ctx context.Context, env *environment) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	alarms, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	now := time.Now()
	page, err := alarms.List(ctx, query, now)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, page)
	}
	table := newTable(env.stdout, "ALARM", "PRIORITY", "STATE", "SUBJECT", "CONDITION", "VALUE", "LIMIT", "SINCE", "ACKNOWLEDGED", "ASSIGNED")
	for i := range page {
		a := &page[i]
		table.row(a.ID, a.Priority, stateWords(a, now), a.Subject, a.Condition, numberOrDash(a.Value), numberOrDash(a.Limit),
			a.RaisedAt.Format(time.RFC3339), acknowledgedWords(a, now), textOrDash(a.AssignedTo))
	}
	if err := table.flush(); err != nil {
		return err
	}
	if len(page) == c.Limit {
		fmt.Fprintf(env.stdout, "more: --after %s\n", alarm.CursorOf(&page[len(page)-1], now))
	}
	return nil
}

// stateWords says where an alarm is in its life.
func stateWords(a *alarm.Alarm, now time.Time) string {
	words := string(a.Phase())
	switch {
	case a.Phase() == alarm.Latched:
		words = "ended, unseen"
	case a.Stale:
		words = "active, no signal"
	}
	if a.Open() && a.Snoozed(now) {
		words += ", snoozed until " + a.SnoozedUntil.Format(time.TimeOnly)
	}
	return words
}

func acknowledgedWords(a *alarm.Alarm, now time.Time) string {
	if !a.Acknowledged(now) {
		return "-"
	}
	return a.AcknowledgedBy
}

type alarmShow struct {
	alarmFlags

	ID alarm.ID `arg:"" help:"Of the alarm."`
}

// alarmWithHistory is what show prints as JSON.
type alarmWithHistory struct {
	alarm.Alarm
	History []alarm.Event `json:"history"`
}

// Run prints one alarm and its history.
func (c *alarmShow) Run(ctx context.Context, env *environment) error {
	alarms, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	a, err := alarms.Alarm(ctx, c.ID)
	if err != nil {
		return err
	}
	history, err := alarms.History(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, alarmWithHistory{a, history})
	}
	now := time.Now()
	for _, line := range [...][2]string{
		{"alarm", a.ID.String()},
		{"subject", a.Subject},
		{"condition", string(a.Condition)},
		{"priority", a.Priority.String()},
		{"state", stateWords(&a, now)},
		{"value", fmt.Sprintf("%s, peak %s, limit %s", numberOrDash(a.Value), numberOrDash(a.Peak), numberOrDash(a.Limit))},
		{"raised", a.RaisedAt.Format(time.RFC3339)},
		{"recurred", fmt.Sprint(a.Recurrences)},
		{"seen by", acknowledgedWords(&a, now)},
		{"assigned", textOrDash(a.AssignedTo)},
		{"note", textOrDash(a.Note)},
		{"version", fmt.Sprint(a.Version)},
	} {
		fmt.Fprintf(env.stdout, "%-9s  %s\n", line[0], onOneLine(line[1]))
	}
	fmt.Fprintln(env.stdout)
	table := newTable(env.stdout, "VERSION", "AT", "EVENT", "BY", "VALUE", "UNTIL", "NOTE")
	for _, event := range history {
		table.row(event.Version, event.At.Format(time.RFC3339), event.Kind, textOrDash(event.Actor), numberOrDash(event.Value),
			timeOrDash(event.Until), textOrDash(event.Note+event.Assignee))
	}
	return table.flush()
}
