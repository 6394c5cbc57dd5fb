package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
	_ "time/tzdata" // zones of local times, on machines that have none
	"unicode/utf8"

	"heartbeat/internal/app"
	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/importer"
	"heartbeat/internal/logging"
)

type importCommand struct {
	kafkaFlags    `group:"Kafka"`
	postgresFlags `group:"PostgreSQL"`

	Files    []string `arg:"" name:"file" help:"Files, zip archives, and directories with all that is in them."`
	Customer string   `placeholder:"CUSTOMER" xor:"whose" help:"All readings are of this customer, such as CUST_00042."`
	Map      string   `placeholder:"FILE" xor:"whose" help:"CSV file with the id of a person in the files, a comma and the customer on each line. Customer ids in the files need no line."`
	DryRun   bool     `help:"Do everything but send: say what would be added."`
	Format   string   `placeholder:"FORMAT" enum:",apple,fitbit,health-connect,fhir,openmhealth,csv,ndjson" default:"" help:"apple, fitbit, health-connect, fhir, openmhealth, csv or ndjson; without it each file is recognised by its content."`
	Zone     string   `placeholder:"ZONE" help:"Zone of times without an offset, such as Europe/Berlin."`

	Columns      map[string]string `placeholder:"FIELD=NAME" mapsep:"," group:"CSV" help:"Names in the header line, where they are others than customer_id, heart_rate, timestamp and device_id, such as heart_rate=bpm,timestamp=time."`
	Separator    string            `placeholder:"CHARACTER" group:"CSV" help:"What separates columns; without it a comma, semicolon, tab or bar, as the header line has it."`
	DecimalComma bool              `group:"CSV" help:"Numbers have a comma where others have a point."`
	TimeFormat   string            `enum:"rfc3339,unix,unix-ms" default:"rfc3339" group:"CSV" help:"How times are written: rfc3339, unix (seconds since 1970) or unix-ms (${default})."`

	JSON bool `name:"json" help:"Print the summary as JSON."`
}

// Help says what an import promises.
func (importCommand) Help() string {
	return `An import adds those readings that are not stored yet, by customer, event time and stored value: importing a file again adds nothing, also after an interrupt. It needs a running consumer. Readings keep their own time; those of the past are stored, and never raise an alarm.

Examples:

    heartbeat import export.zip --customer=CUST_00042 --dry-run   what an Apple Health export would add
    heartbeat import MyFitbitData.zip --customer=CUST_00042
    heartbeat import 2026-02-20.json --customer=CUST_00042 --zone=Europe/Berlin
    heartbeat import bundle.json --map=patients.csv
    heartbeat import export.csv --columns=heart_rate=pulse,timestamp=time --separator=";" --decimal-comma --customer=CUST_00042`
}

// Validate refuses what cannot be understood.
func (c *importCommand) Validate() error {
	if _, err := c.reading(); err != nil {
		return err
	}
	if c.Customer != "" {
		if _, err := heartbeat.ParseCustomerID(c.Customer); err != nil {
			return fmt.Errorf("--customer: %w", err)
		}
	}
	return c.postgresFlags.Validate()
}

func (c *importCommand) reading() (format.Options, error) {
	options := format.Options{DecimalComma: c.DecimalComma, TimeFormat: format.TimeFormat(c.TimeFormat)}
	if c.Zone != "" {
		zone, err := time.LoadLocation(c.Zone)
		if err != nil || c.Zone == "Local" {
			return options, fmt.Errorf("--zone %s: want the name of a zone, such as Europe/Berlin or UTC", c.Zone)
		}
		options.Zone = zone
	}
	if c.Separator != "" {
		separator, length := utf8.DecodeRuneInString(c.Separator)
		if length != len(c.Separator) || slices.Contains([]rune{'"', '\n', '\r', utf8.RuneError}, separator) {
			return options, fmt.Errorf("--separator %q: want one character that is no quote", c.Separator)
		}
		options.Separator = separator
	}
	for field, name := range c.Columns {
		column := map[string]*string{
			"customer_id": &options.Columns.Customer, "heart_rate": &options.Columns.HeartRate,
			"timestamp": &options.Columns.Timestamp, "device_id": &options.Columns.Device,
		}[field]
		if column == nil || name == "" {
			return options, fmt.Errorf("--columns %s=%s: want customer_id, heart_rate, timestamp or device_id, and the name of its column", field, name)
		}
		*column = name
	}
	return options, nil
}

func (c *importCommand) customers() (importer.Customers, error) {
	switch {
	case c.Customer != "":
		id, err := heartbeat.ParseCustomerID(c.Customer)
		return importer.Customers{One: &id}, err
	case c.Map != "":
		file, err := os.Open(c.Map)
		if err != nil {
			return importer.Customers{}, fmt.Errorf("--map: %w", err)
		}
		defer file.Close()
		mapped, err := importer.ReadMap(file)
		if err != nil {
			return importer.Customers{}, fmt.Errorf("--map %s: %w", c.Map, err)
		}
		return importer.Customers{Map: mapped}, nil
	default:
		return importer.Customers{}, nil
	}
}

// Run imports and prints a summary.
func (c *importCommand) Run(ctx context.Context, env *environment) error {
	database, err := c.options("import")
	if err != nil {
		return err
	}
	for _, path := range c.Files { // before anything is connected to
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	progress, clearProgress := importProgress(env)
	options := importer.Options{Paths: c.Files, Format: format.Name(c.Format), DryRun: c.DryRun, Progress: progress}
	if options.Reading, err = c.reading(); err != nil {
		return err
	}
	if options.Customers, err = c.customers(); err != nil {
		return err
	}
	collectOften()
	summary, err := app.Import(ctx, app.ImportOptions{Kafka: c.config(env), Database: database, Import: options, Logger: env.logger})
	clearProgress()
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("import interrupted: %d readings are sent; run it again to send the rest", summary.Added)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(env.stdout, summary)
	} else {
		err = printImport(env, &summary)
	}
	if err == nil && (len(summary.Faults) > 0 || summary.Readings == 0) {
		return errFailed
	}
	return err
}

func printImport(env *environment, s *importer.Summary) error {
	t := newTable(env.stdout, "FORMAT", "FILES", "READINGS", "FIRST", "LAST")
	for _, f := range s.Formats {
		t.row(f.Name, f.Files, f.Readings, dayOf(f.First), dayOf(f.Last))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, f := range s.Formats {
		for _, reason := range f.Reasons() {
			fmt.Fprintf(env.stdout, "%s: %d left out as %s", f.Name, f.LeftOut[reason], reason)
			if example := f.Examples[reason]; example != "" {
				fmt.Fprintf(env.stdout, ", first %s", onOneLine(example))
			}
			fmt.Fprintln(env.stdout)
		}
	}
	if s.Skipped > 0 {
		fmt.Fprintf(env.stdout, "%d files are of another kind\n", s.Skipped)
	}
	for _, fault := range s.Faults {
		fmt.Fprintf(env.stdout, "NOT OK  %s\n", onOneLine(fault))
	}
	if s.Omitted > 0 {
		fmt.Fprintf(env.stdout, "NOT OK  and %d more\n", s.Omitted)
	}
	if s.Readings == 0 {
		fmt.Fprintln(env.stdout, "NOT OK  there is no reading to import")
	}
	if s.TooOld > 0 {
		fmt.Fprintf(env.stdout, "note    %d readings are older than the %v that consumers keep: they are not sent; consume or up with --retention 0 keeps them\n", s.TooOld, s.Retention)
	}
	verb := "added"
	if s.DryRun {
		verb = "would be added"
	}
	_, err := fmt.Fprintf(env.stdout, "%d different readings: %d stored already, %d %s, in %.1f s\n", s.Distinct, s.Stored, s.Added, verb, s.Seconds)
	return err
}

func dayOf(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}

// importProgress keeps one line up to date on a terminal, and logs elsewhere, less often.
func importProgress(env *environment) (report func(importer.Progress), clear func()) {
	const clearLine = "\r\033[K"
	if logging.IsTerminal(env.stderr) {
		report = func(p importer.Progress) { fmt.Fprint(env.stderr, clearLine, progressLine(p)) }
		return report, func() { fmt.Fprint(env.stderr, clearLine) }
	}
	const logEvery = 10 * time.Second
	var logged time.Time
	report = func(p importer.Progress) {
		if time.Since(logged) >= logEvery {
			logged = time.Now()
			env.logger.Info("importing", "component", "import", "progress", progressLine(p))
		}
	}
	return report, func() {}
}

func progressLine(p importer.Progress) string {
	perSecond := float64(p.Done) / max(p.Elapsed.Seconds(), 0.001)
	line := fmt.Sprintf("%s: %d of %d, %.0f a second", p.Step, p.Done, p.Total, perSecond)
	switch {
	case p.Bytes:
		const mib = 1 << 20
		line = fmt.Sprintf("%s: %d of %d MiB, %.1f MiB a second, %d readings", p.Step, p.Done/mib, p.Total/mib, perSecond/mib, p.Readings)
	case p.Total == 0:
		return fmt.Sprintf("%s: %.0f s", p.Step, p.Elapsed.Seconds())
	}
	if left := p.Remaining(); left > 0 {
		line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return line
}
