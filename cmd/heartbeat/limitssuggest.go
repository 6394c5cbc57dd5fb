package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/suggest"
)

type limitsSuggest struct {
	alarmFlags

	Customer  string `arg:"" help:"Such as CUST_00042."`
	UTCOffset int    `name:"utc-offset" placeholder:"MINUTES" help:"Distance of the customer's midnight from UTC, in minutes eastwards, such as 60."`
}

// Help says what the suggestion is made of.
func (limitsSuggest) Help() string {
	return fmt.Sprintf(`It takes the medians of each minute of the last %d days (of 15 minutes for a device that reports seldom), without the time of heart rate alarms. The upper limit is one robust standard deviation above the range of 99.8 %% of these medians, the lower limit half of one below it, within 100 to 230 and 25 to 60. It needs %d days with 6 hours of readings each, and for the night as many nights with 3 hours each.`,
		suggest.MostDays, suggest.LeastDays)
}

// Validate refuses a malformed customer.
func (c *limitsSuggest) Validate() error {
	_, err := heartbeat.ParseCustomerID(c.Customer)
	if c.UTCOffset < -14*60 || c.UTCOffset > 14*60 {
		err = errors.Join(err, fmt.Errorf("--utc-offset %d: want -840 to 840 minutes", c.UTCOffset))
	}
	return errors.Join(err, c.postgresFlags.Validate())
}

// Run prints the suggestion with its evidence.
func (c *limitsSuggest) Run(ctx context.Context, env *environment) error {
	customer, err := heartbeat.ParseCustomerID(c.Customer)
	if err != nil {
		return err
	}
	alarms, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer alarms.Close()
	suggested, err := alarms.SuggestLimits(ctx, customer, c.UTCOffset, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, suggested)
	}
	return printSuggestion(env, &suggested)
}

func printSuggestion(env *environment, s *suggest.Suggested) error {
	fmt.Fprintf(env.stdout, "%s, in force now: %d to %d bpm. Medians of %d min from %s to %s\n\n", s.Customer, s.LowInForce, s.HighInForce, s.MinutesEach,
		s.From.Format(time.DateOnly), s.To.Format(time.DateOnly))
	table := newTable(env.stdout, "HOURS", "LOW", "HIGH", "DAYS", "MEDIANS", "LEFT OUT", "P0.1", "P1", "P50", "P99", "P99.9", "ROBUST SD")
	for _, one := range s.Suggestions {
		low, high := fmt.Sprint(one.Low), fmt.Sprint(one.High)
		if !one.Enough {
			low, high = "-", "-"
		}
		e := one.Evidence
		table.row(textOr(one.Hours, "all day"), low, high, e.Days, e.Stretches, e.LeftOut, e.Lowest, e.Low, e.Median, e.High, e.Highest, e.Spread)
	}
	if err := table.flush(); err != nil {
		return err
	}
	fmt.Fprintln(env.stdout)
	for _, one := range s.Suggestions {
		if !one.Enough {
			fmt.Fprintf(env.stdout, "%s: too little is known, %d of %d days have enough readings\n", textOr(one.Hours, "all day"), one.Evidence.Days, suggest.LeastDays)
			continue
		}
		hours := ""
		if one.Hours != "" {
			hours = fmt.Sprintf(" --hours %s --utc-offset %d", one.Hours, one.UTCOffset)
		}
		fmt.Fprintf(env.stdout, "heartbeat limits set --customer %s --low %d --high %d%s --reason \"from %d days of readings\"\n", s.Customer, one.Low, one.High, hours, one.Evidence.Days)
	}
	_, err := fmt.Fprintln(env.stdout, "\nNothing is in force yet: the decision is yours.")
	return err
}
