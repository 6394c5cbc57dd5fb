package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"heartbeat/internal/bench/procstat"
	"heartbeat/internal/bench/report"
)

type run struct {
	*environment
	plan   Plan
	report *report.Report
}

type section struct {
	name    string
	measure func(context.Context) error
}

func (r *run) sections() []section {
	return []section{
		{"drain", r.measureRounds}, {"detection", r.measureDetection}, {"ingest", r.measureIngest}, {"steady", r.measureSteady}, {"growth", r.measureGrowth}, {"fleet", r.measureBigFleet}, {"backfill", r.measureBackfill},
	}
}

// Run measures. It fails when a server or process fails, and when rows are missing.
func Run(ctx context.Context, options Options) (result *report.Report, err error) {
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	options.Progress("starting the servers")
	e, err := newEnvironment(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("set up benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, e.close()) }()
	r := &run{environment: e, plan: options.plan(), report: e.newReport()}
	for _, section := range r.sections() {
		if len(options.Only) > 0 && !slices.Contains(options.Only, section.name) {
			continue
		}
		if err := section.measure(ctx); err != nil {
			return nil, err
		}
	}
	if len(options.Brokers) > 0 {
		options.Progress(fmt.Sprintf("the topics %s_… remain on the broker until you delete them", e.prefix))
	}
	r.report.Finish()
	return r.report, nil
}

func (e *environment) progress(what string) { e.options.Progress(what) }

func (e *environment) newReport() *report.Report {
	broker := "the embedded one"
	if len(e.options.Brokers) > 0 {
		broker = "the one given with --brokers"
	}
	return &report.Report{
		StartedAt: time.Now().UTC().Truncate(time.Second),
		Environment: report.Environment{
			Processor: procstat.ProcessorName(), Cores: runtime.NumCPU(), Memory: procstat.MachineMemory(), System: runtime.GOOS + "/" + runtime.GOARCH,
			Go: runtime.Version(), Version: e.options.Version, Postgres: e.serverInfo.Version, Settings: e.serverInfo.Settings,
			Broker: broker, Customers: e.options.Customers, LoadStart: procstat.LoadAverage(),
		},
		SlowPacing: pacingAt(0).describe(), FastPacing: pacingAt(fastRate).describe(), FastRate: fastRate,
	}
}
