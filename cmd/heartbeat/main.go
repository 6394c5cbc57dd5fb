// Command heartbeat carries heart-rate readings from a fleet of wearables through Kafka into PostgreSQL. It plays every
// role: each subcommand is one.
//
// This package turns flags, environment and signals into options, and errors into exit codes: 0 for success, 1 for
// failure, 2 for wrong usage. It holds no logic of its own and stands outside the path of a reading.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"heartbeat/internal/dotenv"
	"heartbeat/internal/logging"
	"heartbeat/internal/postgres"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// errFailed is the error of a command that has said everything itself.
var errFailed = errors.New("failed")

type commands struct {
	Log logFlags `embed:"" group:"Log"`

	Up         upCommand          `cmd:"" help:"Run the whole system on this machine: broker, database, simulator, consumer."`
	Produce    produceCommand     `cmd:"" help:"Send invented readings to Kafka."`
	Consume    consumeCommand     `cmd:"" help:"Validate, classify and store what Kafka has."`
	Serve      serveCommand       `cmd:"" help:"Serve the live console, its API, metrics and health."`
	Migrate    migrateCommand     `cmd:"" help:"Create or update the database schema."`
	Deadletter deadletterCommand  `cmd:"" help:"List, show and replay records that are not readings."`
	Alarm      alarmCommand       `cmd:"" help:"List alarms, and acknowledge, snooze, assign and close them."`
	Limits     limitsCommand      `cmd:"" help:"List, set, end, try and suggest the limits by which readings are judged."`
	Ingest     ingestCommand      `cmd:"" help:"Take readings of devices and gateways over HTTP."`
	Notify     notifyCommand      `cmd:"" help:"Escalate alarms and tell people: log, webhooks, Alertmanager, PagerDuty and e-mail."`
	User       userCommand        `cmd:"" help:"Add, list, disable and enable users of the console, and set their passwords."`
	Import     importCommand      `cmd:"" help:"Add the readings of files: Apple Health, Fitbit, Health Connect, FHIR, Open mHealth, CSV, NDJSON."`
	Export     exportCommand      `cmd:"" help:"Write stored readings to a file: CSV, NDJSON, FHIR or Parquet."`
	Device     deviceCommand      `cmd:"" help:"Add, list and revoke what sends readings over HTTP, and rotate its tokens."`
	Verify     verifyCommand      `cmd:"" help:"Prove that everything is stored, and stored once."`
	Evaluate   evaluateCommand    `cmd:"" help:"Measure how many alarms are false, how many episodes are missed, and how late alarms are."`
	Doctor     doctorCommand      `cmd:"" help:"Examine broker, topic, database, schema, clock and consumer, and say what to do."`
	Partitions partitionsCommand  `cmd:"" help:"List the partitions of the tables: size, rows, age, and when they go."`
	Bench      benchCommand       `cmd:"" help:"Measure speed, latency and cost on this machine."`
	Broker     benchBrokerCommand `cmd:"" hidden:"" name:"bench-broker" help:"Run the embedded broker for a benchmark, in a process of its own."`
	Grafana    grafanaCommand     `cmd:"" help:"Write the files that make Grafana show all this."`
	Version    versionCommand     `cmd:"" help:"Print what this is."`

	Healthcheck healthcheckCommand `cmd:"" hidden:"" help:"Ask a role of this machine how it is, for containers."`
}

func main() {
	stderr := logging.NewWriter(os.Stderr)
	ctx := interruptible(stderr)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, stderr))
}

// exited is what the flag parser panics with when it has printed help and wants the process to end.
type exited int

// run executes one command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	out := &output{Writer: stdout}
	var cli commands
	parser := newParser(&cli, out, stderr)
	unread := dotenv.Load(".env")
	broken := dropVariables(parser.Model.Node)
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case exited:
			code = int(cause)
		default:
			panic(cause)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "heartbeat: %v\nRun \"heartbeat --help\", or a command with --help.\n", err)
		return exitUsage
	}
	if unread := cmp.Or(unread, broken); unread != nil && parsed.Command() != "version" {
		fmt.Fprintf(stderr, "heartbeat: %v\n", unread)
		return exitUsage
	}
	env := &environment{stdout: out, stderr: stderr, logger: logging.New(stderr, cli.Log.level(), cli.Log.Format)}
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(env)
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitOK // asked to stop before the work began
	case out.gone.Load() && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.EIO)):
		return exitOK // the reader of the output, such as head, has seen enough
	}
	if failed := out.failed.Load(); err == nil && failed != nil {
		err = fmt.Errorf("write to standard output: %w", *failed)
	}
	if postgres.LacksRight(err) && parsed.Command() != "migrate" && !strings.Contains(err.Error(), postgres.RightAdvice) { // which says itself what to grant
		err = fmt.Errorf("%w: %s", err, postgres.RightAdvice)
	}
	return exitCode(err, stderr)
}

func newParser(cli *commands, stdout, stderr io.Writer) *kong.Kong {
	parser, err := kong.New(cli,
		kong.Name("heartbeat"),
		kong.Description("Carries heart-rate readings through Kafka into PostgreSQL: none lost, none twice. Not a medical device."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
	)
	if err != nil {
		panic(err) // the declaration of the flags is wrong
	}
	return parser
}

// dropVariables removes from the environment the variables of flags that are empty or blank: they mean the default, for every setting.
// The secrets, which have no flags, follow the same rule in secret. It also removes those of several lines and returns an error that
// names them: their value is what follows a quote that was not closed, which may be a password, and the parser would show it.
func dropVariables(node *kong.Node) (err error) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			value, ok := os.LookupEnv(name)
			broken := strings.ContainsAny(strings.TrimSpace(value), "\r\n")
			if broken {
				err = cmp.Or(err, fmt.Errorf("%s: %w", name, errLineBreak))
			}
			if ok && (broken || strings.TrimSpace(value) == "") {
				os.Unsetenv(name)
			}
		}
	}
	for _, child := range node.Children {
		err = cmp.Or(err, dropVariables(child))
	}
	return err
}

var errLineBreak = errors.New("the value has a line break: close its quote on the same line, and end lines as on Unix or Windows")

func exitCode(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed):
		return exitFailure
	default:
		fmt.Fprintf(stderr, "heartbeat: %v\n", err)
		return exitFailure
	}
}
