package report

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
)

//go:embed performance.md.tmpl
var documentText string

var document = template.Must(template.New("performance.md").Funcs(template.FuncMap{
	"hundredths": hundredths, "microseconds": tenths,
	"percent":   func(share float64) string { return fmt.Sprintf("%.0f", 100*share) },
	"thousands": func(n int) string { return thousands(float64(n)) },
}).Parse(documentText))

// view is the report with what only the document shows.
type view struct {
	*Report
	Command, Date, Minutes                                                       string
	RatesTable, DetectionTable, IngestTable, SteadyTable, GrowthTable, RestTable string
	Share                                                                        Usage // of the processor time of a drain
	SharedBound                                                                  float64
	BusyCores                                                                    string
}

// WriteMarkdown writes the report as a document that names the command.
func (r *Report) WriteMarkdown(w io.Writer, command string) error {
	v := view{
		Report: r, Command: command, Date: r.StartedAt.Format("2006-01-02 15:04 UTC"), Minutes: fmt.Sprintf("%.0f", r.Seconds/60),
		RatesTable: table(r.writeRates), DetectionTable: table(r.writeDetection), IngestTable: table(r.writeIngest), SteadyTable: table(r.writeSteady), GrowthTable: table(r.writeGrowth), RestTable: table(r.writeRest),
		SharedBound: r.sharedBound(), BusyCores: r.busyCores(),
	}
	total := max(r.Drain.Usage.Total(), 1e-9)
	v.Share = Usage{Consumer: r.Drain.Usage.Consumer / total, Database: r.Drain.Usage.Database / total, Broker: r.Drain.Usage.Broker / total}
	if err := document.Execute(w, v); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func table(write func(io.Writer)) string {
	var b strings.Builder
	aligned(&b, write)
	return b.String()
}

// sharedBound is the ratio of a drain to the sorted limit by processor time, if PostgreSQL does the same work in both and
// everything shares the cores.
func (r *Report) sharedBound() float64 {
	bare := r.LimitSorted.Usage.Total()
	return bare / max(bare+r.Drain.Usage.Consumer+r.Drain.Usage.Broker, 1e-9)
}

// busyCores lists how many cores were in use, by rate.
func (r *Report) busyCores() string {
	var busy []string
	for _, s := range r.Steady {
		if s.KeptUp {
			busy = append(busy, fmt.Sprintf("%.1f at %s", s.busyCores(), thousands(float64(s.PerSecond))))
		}
	}
	return strings.Join(busy, ", ")
}
