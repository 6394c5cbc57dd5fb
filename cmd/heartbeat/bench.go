package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"heartbeat/internal/bench"
	"heartbeat/internal/postgres"
)

type benchCommand struct {
	Full      bool     `help:"Measure everything, which takes about a quarter of an hour; without it, what fits into a minute."`
	Only      []string `enum:"drain,detection,ingest,steady,growth,fleet,backfill" placeholder:"SECTION" help:"Measure only these sections: drain (with its limits and produce), detection, ingest, steady, growth, fleet, backfill."`
	JSON      bool     `name:"json" help:"Print the report as JSON."`
	Report    string   `placeholder:"FILE" help:"Also write the report as a Markdown document."`
	Customers int      `default:"10000" help:"Size of the fleet (${default})."`
	Dir       string   `placeholder:"DIR" help:"Directory for the data of the benchmark's own servers, on a disk; by default the system's temporary directory."`
	Brokers   []string `placeholder:"HOST:PORT" help:"Measure with this Kafka instead of the embedded broker; the benchmark creates topics named bench_…."`
	Database  string   `placeholder:"URL" help:"Measure on this server instead of a private one, in databases of its own; give the password in POSTGRES_PASSWORD."`
}

// Run measures and reports.
func (c *benchCommand) Run(ctx context.Context, env *environment) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if c.Database == "" {
		dropLibpqVariables()
	}
	began := time.Now()
	result, err := bench.Run(ctx, bench.Options{
		Brokers: c.Brokers, Database: postgres.Options{URL: c.Database}, Dir: c.Dir,
		Binary: binary, Version: version, Full: c.Full, Only: c.Only, Customers: c.Customers, Logger: slog.New(slog.DiscardHandler),
		Progress: func(what string) { fmt.Fprintf(env.stderr, "%4.0f s  %s\n", time.Since(began).Seconds(), what) },
	})
	if err != nil {
		return err
	}
	return writeMeasured(env, result, c.Report, c.JSON)
}

// measured is the result of a command that measures.
type measured interface {
	WriteMarkdown(w io.Writer, command string) error
	WriteTable(w io.Writer) error
}

// writeMeasured prints a result, and writes it as a document too where a file is named.
func writeMeasured(env *environment, result measured, report string, asJSON bool) error {
	if report != "" {
		if err := writeReport(report, result.WriteMarkdown); err != nil {
			return err
		}
	}
	if asJSON {
		return writeJSON(env.stdout, result)
	}
	return result.WriteTable(env.stdout)
}

// writeReport writes a document that names the command line.
func writeReport(path string, write func(w io.Writer, command string) error) error {
	var document bytes.Buffer
	if err := write(&document, strings.Join(append([]string{"heartbeat"}, os.Args[1:]...), " ")); err != nil {
		return err
	}
	if err := os.WriteFile(path, document.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

type benchBrokerCommand struct {
	Dir string `required:"" help:"Directory of its log."`
}

// Run serves until interrupted.
func (c *benchBrokerCommand) Run(ctx context.Context, env *environment) error {
	return bench.ServeBroker(ctx, c.Dir, func(line string) { fmt.Fprintln(env.stdout, line) })
}
