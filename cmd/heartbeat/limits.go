package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/app"
	"heartbeat/internal/heartbeat"
)

type limitsCommand struct {
	List    limitsList    `cmd:"" help:"List limits, newest first."`
	Set     limitsSet     `cmd:"" help:"Set a limit of the fleet, a cohort or a person. It takes effect a few seconds later."`
	End     limitsEnd     `cmd:"" help:"End a limit. It ends a few seconds later."`
	Try     limitsTry     `cmd:"" help:"Try limits on stored readings: alarms a day with and without them, and whose alarms change."`
	Suggest limitsSuggest `cmd:"" help:"Suggest limits for a customer from the customer's own readings. No limit is set."`
	Cohort  limitsCohort  `cmd:"" help:"Put a customer into a cohort, or into none."`
}

// scopeFlags say for whom a limit is.
type scopeFlags struct {
	Fleet    bool   `xor:"scope" help:"For all customers."`
	Cohort   string `xor:"scope" placeholder:"NAME" help:"For a cohort."`
	Customer string `xor:"scope" placeholder:"CUSTOMER" help:"For one customer, such as CUST_00042."`
}

func (f scopeFlags) scope() string {
	switch {
	case f.Fleet:
		return "fleet"
	case f.Cohort != "":
		return "cohort"
	case f.Customer != "":
		return "person"
	default:
		return ""
	}
}

type limitsList struct {
	alarmFlags
	scopeFlags

	Ended  bool  `help:"Also those that have ended."`
	Before int64 `placeholder:"ID" help:"Only those older than this one: the next page."`
	Limit  int   `default:"50" help:"How many at most (${default})."`
}

// Run prints a page of limits.
func (c *limitsList) Run(ctx context.Context, env *environment) error {
	alarms, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	scope := c.scope()
	if c.Customer != "" {
		scope = "" // also the limits of the customer's cohort and of the fleet
	}
	limits, err := alarms.Limits(ctx, alarm.LimitQuery{
		Scope: scope, Cohort: c.Cohort, Customer: c.Customer, Ended: c.Ended, Before: c.Before, Limit: c.Limit,
	}, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, limits)
	}
	table := newTable(env.stdout, "ID", "FOR", "LOW", "HIGH", "HOURS", "FROM", "UNTIL", "AUTHOR", "REASON")
	for i := range limits {
		l := &limits[i]
		table.row(l.ID, scopeWords(l), numberOrDash(l.Low), numberOrDash(l.High), hoursWords(l), l.EffectiveFrom.Format(time.RFC3339),
			timeOrDash(l.EndsAt), l.Author, l.Reason)
	}
	if err := table.flush(); err != nil {
		return err
	}
	if len(limits) == c.Limit {
		fmt.Fprintf(env.stdout, "more: --before %d\n", limits[len(limits)-1].ID)
	}
	return nil
}

func scopeWords(l *alarm.Limit) string {
	switch {
	case l.Customer != "":
		return l.Customer
	case l.Cohort != "":
		return "cohort " + l.Cohort
	default:
		return l.Scope
	}
}

func hoursWords(l *alarm.Limit) string {
	if l.Hours == "" {
		return "all day"
	}
	sign, offset := '+', l.UTCOffset
	if offset < 0 {
		sign, offset = '-', -offset
	}
	return fmt.Sprintf("%s UTC%c%02d:%02d", l.Hours, sign, offset/60, offset%60)
}

type limitsSet struct {
	alarmFlags
	actorFlags
	scopeFlags

	Low       int32     `placeholder:"BPM" help:"Below this is too low: 25 to 60."`
	High      int32     `placeholder:"BPM" help:"Above this is too high: 100 to 230."`
	Hours     string    `placeholder:"FROM-TO" help:"Only at these hours of each day, such as 22:00-06:00."`
	UTCOffset int       `name:"utc-offset" placeholder:"MINUTES" help:"Distance of these hours from UTC, in minutes eastwards, such as 60. It is fixed: summer time does not move them."`
	From      time.Time `placeholder:"TIME" help:"In force from this time on, such as 2026-02-20T10:00:00Z; as soon as possible unless given."`
	Until     time.Time `placeholder:"TIME" help:"In force until this time."`
	Reason    string    `required:"" help:"Why."`
}

func (c *limitsSet) limit() alarm.Limit {
	return alarm.Limit{
		Scope: c.scope(), Cohort: c.Cohort, Customer: c.Customer, Low: c.Low, High: c.High, Hours: c.Hours, UTCOffset: c.UTCOffset,
		Reason: c.Reason, EffectiveFrom: c.From, EndsAt: c.Until,
	}
}

// Validate refuses a limit that must not be set.
func (c *limitsSet) Validate() error {
	if c.scope() == "" || c.Fleet && c.Cohort+c.Customer != "" || c.Cohort != "" && c.Customer != "" {
		return errors.New("say for whom the limit is: one of --fleet, --cohort and --customer")
	}
	limit := c.limit()
	limit.Author = "somebody" // Run finds out who
	if err := limit.Check(); err != nil {
		return err
	}
	return c.postgresFlags.Validate()
}

// Run sets a limit.
func (c *limitsSet) Run(ctx context.Context, env *environment) error {
	return change(ctx, env, c.alarmFlags, c.actorFlags, func(alarms *app.Alarms, author string) (alarm.Limit, error) {
		limit := c.limit()
		limit.Author = author
		return alarms.SetLimit(ctx, limit)
	}, func(set *alarm.Limit) string {
		return fmt.Sprintf("limit %d for %s is in force for readings from %s on", set.ID, scopeWords(set), set.EffectiveFrom.Format(time.RFC3339))
	})
}

type limitsEnd struct {
	alarmFlags
	actorFlags

	ID     int64  `arg:"" help:"Of the limit."`
	Reason string `required:"" help:"Why."`
}

// Run ends a limit.
func (c *limitsEnd) Run(ctx context.Context, env *environment) error {
	return change(ctx, env, c.alarmFlags, c.actorFlags, func(alarms *app.Alarms, author string) (alarm.Limit, error) {
		return alarms.EndLimit(ctx, c.ID, author, c.Reason)
	}, func(ended *alarm.Limit) string {
		return fmt.Sprintf("limit %d for %s ends for readings from %s on", ended.ID, scopeWords(ended), ended.EndsAt.Format(time.RFC3339))
	})
}

type limitsCohort struct {
	alarmFlags
	actorFlags

	Customer string `arg:"" help:"Such as CUST_00042."`
	Name     string `arg:"" optional:"" help:"Of the cohort; leave it out for none."`
}

// Validate refuses a malformed customer.
func (c *limitsCohort) Validate() error {
	_, err := heartbeat.ParseCustomerID(c.Customer)
	return err
}

// Run changes a customer's cohort.
func (c *limitsCohort) Run(ctx context.Context, env *environment) error {
	customer, err := heartbeat.ParseCustomerID(c.Customer)
	if err != nil {
		return err
	}
	return change(ctx, env, c.alarmFlags, c.actorFlags, func(alarms *app.Alarms, author string) (alarm.Member, error) {
		return alarms.SetCohort(ctx, customer, c.Name, author)
	}, func(member *alarm.Member) string {
		return fmt.Sprintf("%s is in %s for readings from %s on", member.Customer, textOr(member.Cohort, "no cohort"), member.EffectiveFrom.Format(time.RFC3339))
	})
}
