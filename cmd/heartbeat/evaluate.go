package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/evaluate"
	"heartbeat/internal/simulate"
)

type evaluateCommand struct {
	Customers   int           `default:"1000" group:"Simulated people" help:"How many (${default})."`
	Duration    time.Duration `default:"168h" group:"Simulated people" help:"How long each is simulated (${default})."`
	Interval    time.Duration `default:"5s" group:"Simulated people" help:"Between two readings of a customer (${default})."`
	AnomalyRate float64       `default:"0.05" group:"Simulated people" help:"Share of single artefacts (${default})."`
	InvalidRate float64       `default:"0.005" group:"Simulated people" help:"Share of single sensor faults (${default})."`
	Episodes    string        `placeholder:"LIST" group:"Simulated people" help:"How many episodes a customer has a day, as produce has it."`
	Seed        uint64        `default:"42" group:"Simulated people" help:"The same seed gives the same figures (${default})."`
	Only        []string      `enum:"parts,delays,sweeps,fleet" placeholder:"SECTION" help:"Beside the fleet itself, only these sections: parts (the detector with one part changed), delays (before a raise), sweeps (over interval, artefacts and losses); fleet for none of them. All unless given."`

	Readings string `placeholder:"FILE" help:"Judge the readings in this CSV file instead of simulated people: columns customer, time, bpm and optionally label, the condition that a reading is part of."`

	Stored        bool      `help:"Judge the stored alarms from --from to --to against the truth that a simulator wrote, beside the detector over the same log: both must have the same alarms."`
	From          time.Time `placeholder:"TIME" help:"Begin, with --stored."`
	To            time.Time `placeholder:"TIME" help:"End, with --stored."`
	TruthTopic    string    `default:"heartbeat-truth" placeholder:"TOPIC" help:"Topic of the truth, with --stored (${default})."`
	kafkaFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`

	JSON   bool   `name:"json" help:"Print the result as JSON."`
	Report string `placeholder:"FILE" help:"Also write the result as a Markdown document."`
}

// Help describes the command with examples.
func (evaluateCommand) Help() string {
	return `It runs the detector over simulated people whose episodes are known, without any server, and beside it the rule that each reading beyond a limit is an alarm, on the same readings.

Examples:

    heartbeat evaluate                                             1,000 customers for a week: a few minutes
    heartbeat evaluate --customers=50 --duration=24h --only=fleet  a few seconds
    heartbeat evaluate --readings=recordings.csv                   your own recordings: alarms a day by person

    heartbeat evaluate --stored --from=2026-02-20T10:00:00Z --to=2026-02-20T11:00:00Z
                                                                   what the database has of simulated people`
}

// Validate refuses what no fleet can be.
func (c *evaluateCommand) Validate() error {
	if c.Readings != "" && c.Report != "" {
		return errors.New("--report: want it without --readings, whose result is no document")
	}
	if c.Stored && (c.From.IsZero() || !c.From.Before(c.To)) {
		return errors.New("--stored: want --from and a later --to, such as --from=2026-02-20T10:00:00Z --to=2026-02-20T11:00:00Z")
	}
	if c.Stored && (c.Report != "" || c.Readings != "") {
		return errors.New("--stored: want it without --readings and --report")
	}
	if c.Stored {
		return c.postgresFlags.Validate()
	}
	_, err := c.evaluation()
	return err
}

func (c *evaluateCommand) evaluation() (evaluate.Options, error) {
	episodes, err := simulate.ParseRates(c.Episodes, simulate.DefaultRates())
	if err != nil {
		return evaluate.Options{}, fmt.Errorf("--episodes %s: %w", c.Episodes, err)
	}
	options := evaluate.Options{
		Fleet: evaluate.Fleet{
			Customers: c.Customers, Duration: c.Duration, Interval: c.Interval, AnomalyRate: c.AnomalyRate, InvalidRate: c.InvalidRate,
			Seed: c.Seed, Episodes: episodes,
		},
		Parts: c.has("parts"), Delays: c.has("delays"), Sweeps: c.has("sweeps"),
	}
	return options, options.Validate()
}

func (c *evaluateCommand) has(section string) bool {
	return len(c.Only) == 0 || slices.Contains(c.Only, section)
}

// Run measures and reports.
func (c *evaluateCommand) Run(ctx context.Context, env *environment) error {
	if c.Stored {
		return c.judgeStored(ctx, env)
	}
	if c.Readings != "" {
		return c.judgeReadings(ctx, env)
	}
	options, err := c.evaluation()
	if err != nil {
		return err
	}
	options.Progress = evaluationProgress(env)
	result, err := evaluate.Run(ctx, options)
	if err != nil {
		return err
	}
	return writeMeasured(env, result, c.Report, c.JSON)
}

func (c *evaluateCommand) judgeReadings(ctx context.Context, env *environment) error {
	file, err := os.Open(c.Readings)
	if err != nil {
		return fmt.Errorf("open readings: %w", err)
	}
	defer file.Close()
	result, err := evaluate.Readings(ctx, bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Readings, err)
	}
	if c.JSON {
		return writeJSON(env.stdout, result)
	}
	return result.WriteTable(env.stdout)
}

func (c *evaluateCommand) judgeStored(ctx context.Context, env *environment) error {
	database, err := c.options("evaluate")
	if err != nil {
		return err
	}
	options := app.StoredOptions{
		Kafka: c.config(env), Database: database, From: c.From, To: c.To, TruthTopic: c.TruthTopic, Logger: env.logger,
	}
	if !c.JSON {
		options.Progress = func(what string) { fmt.Fprintln(env.stderr, what) }
	}
	result, err := app.EvaluateStored(ctx, options)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(env.stdout, result)
	} else {
		err = printStored(env, &result)
	}
	if err == nil && !result.Equal {
		return errFailed
	}
	return err
}

func printStored(env *environment, r *app.StoredResult) error {
	fmt.Fprintf(env.stdout, "%d readings of %d customers, %d episodes in the truth\n\n", r.Readings, r.Customers, r.Episodes)
	if err := evaluate.WriteComparison(env.stdout, r.Stored, r.Offline); err != nil {
		return err
	}
	verdict := "ok: the stored alarms are those of the detector over the log"
	if !r.Equal {
		verdict = fmt.Sprintf("NOT OK  the stored alarms are not those of the detector over the log: %d transitions differ; heartbeat verify --replay names them", r.Differences)
	}
	if r.Undecided > 0 {
		verdict += fmt.Sprintf("; the log does not decide those of %d customers", r.Undecided)
	}
	_, err := fmt.Fprintf(env.stdout, "\n%s\n", verdict)
	return err
}

// evaluationProgress prints a line a second.
func evaluationProgress(env *environment) func(what string, done, all int) {
	began := time.Now()
	printed := began
	return func(what string, done, all int) {
		if now := time.Now(); now.Sub(printed) >= time.Second {
			printed = now
			fmt.Fprintf(env.stderr, "%4.0f s  %s: %d of %d\n", now.Sub(began).Seconds(), what, done, all)
		}
	}
}
