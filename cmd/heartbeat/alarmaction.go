package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/alarm"
)

// actionFlags are what every action on alarms takes.
type actionFlags struct {
	alarmFlags
	actorFlags

	Expected int64      `name:"expected-version" placeholder:"N" help:"Refuse where somebody else acted, or the condition became worse, after this version."`
	IDs      []alarm.ID `arg:"" name:"id" help:"Of the alarms."`
}

// Validate refuses one version for several alarms.
func (f *actionFlags) Validate() error {
	if f.Expected != 0 && len(f.IDs) > 1 {
		return errors.New("--expected-version is for one alarm: leave it out for several")
	}
	return f.postgresFlags.Validate()
}

// actionResult is what became of one alarm.
type actionResult struct {
	ID    alarm.ID     `json:"alarm_id"`
	Alarm *alarm.Alarm `json:"alarm,omitzero"`
	Code  alarm.Code   `json:"code,omitzero"` // why it was refused
	Error string       `json:"error,omitzero"`
}

// act does one action to each alarm. It fails when one of them is refused, after it has tried them all.
func (f *actionFlags) act(ctx context.Context, env *environment, action alarm.Action) error {
	actor, err := f.actor()
	if err != nil {
		return err
	}
	action.Actor, action.Expected = actor, f.Expected
	alarms, err := f.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	results := make([]actionResult, 0, len(f.IDs))
	failed := false
	for _, id := range f.IDs {
		result := actionResult{ID: id}
		after, err := alarms.Act(ctx, id, action, time.Now())
		if refused, ok := errors.AsType[*alarm.Error](err); ok {
			result.Code, result.Error, failed = refused.Code, refused.Detail, true
		} else if err != nil {
			return err
		} else {
			result.Alarm = &after
		}
		results = append(results, result)
	}
	if f.JSON {
		err = writeJSON(env.stdout, results)
	} else {
		printResults(env, results)
	}
	if err == nil && failed {
		return errFailed
	}
	return err
}

func printResults(env *environment, results []actionResult) {
	now := time.Now()
	for _, result := range results {
		if result.Alarm == nil {
			fmt.Fprintf(env.stderr, "heartbeat: %s (%s)\n", onOneLine(result.Error), result.Code)
			continue
		}
		a := result.Alarm
		fmt.Fprintf(env.stdout, "%s  %s of %s: %s", a.ID, a.Condition, a.Subject, stateWords(a, now))
		if a.Acknowledged(now) {
			fmt.Fprintf(env.stdout, ", acknowledged by %s", onOneLine(a.AcknowledgedBy))
			if a.Open() && !a.AcknowledgedUntil.IsZero() {
				fmt.Fprintf(env.stdout, " until %s", a.AcknowledgedUntil.Format(time.RFC3339))
			}
		}
		fmt.Fprintf(env.stdout, ", version %d\n", a.Version)
	}
}

type alarmAck struct {
	actionFlags

	Note string `help:"What you have seen or will do."`
}

// Run acknowledges. Doing so again changes nothing.
func (c *alarmAck) Run(ctx context.Context, env *environment) error {
	return c.act(ctx, env, alarm.Action{Kind: alarm.Acknowledged, Note: c.Note})
}

type alarmSnooze struct {
	actionFlags

	For    time.Duration `required:"" placeholder:"TIME" help:"How long, such as 10m: at most 15m for high, 4h for medium, 24h for low."`
	Reason string        `required:"" help:"Why."`
}

// Run silences.
func (c *alarmSnooze) Run(ctx context.Context, env *environment) error {
	return c.act(ctx, env, alarm.Action{Kind: alarm.Snoozed, For: c.For, Note: c.Reason})
}

type alarmClose struct {
	actionFlags

	Note string `help:"Why."`
}

// Run closes by hand.
func (c *alarmClose) Run(ctx context.Context, env *environment) error {
	return c.act(ctx, env, alarm.Action{Kind: alarm.Closed, Note: c.Note})
}

type alarmAssign struct {
	actionFlags

	To   string `placeholder:"NAME" help:"Who takes care; leave it out to take the assignment back."`
	Note string `help:"Why."`
}

// Run assigns.
func (c *alarmAssign) Run(ctx context.Context, env *environment) error {
	return c.act(ctx, env, alarm.Action{Kind: alarm.Assigned, Assignee: c.To, Note: c.Note})
}

type alarmComment struct {
	actionFlags

	Text string `required:"" help:"The comment."`
}

// Run comments. It is possible on closed alarms too.
func (c *alarmComment) Run(ctx context.Context, env *environment) error {
	return c.act(ctx, env, alarm.Action{Kind: alarm.Commented, Note: c.Text})
}
