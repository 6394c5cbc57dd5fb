package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for a terminal, ratios first.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	for _, table := range []func(io.Writer){r.writeRates, r.writeDetection, r.writeIngest, r.writeSteady, r.writeGrowth, r.writeRest, r.writeTargets} {
		before := b.Len()
		if aligned(&b, table); b.Len() > before {
			b.WriteString("\n")
		}
	}
	b.WriteString(strings.Join(r.Environment.Lines(), "\n") + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// aligned writes a table with aligned columns.
func aligned(b *strings.Builder, table func(io.Writer)) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	table(w)
	w.Flush() // into memory
}

func (r *Report) writeTargets(w io.Writer) {
	for _, target := range r.Targets {
		mark := "met   "
		if !target.Met {
			mark = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\twant %s\n", mark, target.Name, target.Got, target.Want)
	}
}

func (r *Report) writeRates(w io.Writer) {
	if len(r.Drain.PerSecond.Rounds) == 0 {
		return
	}
	fmt.Fprintf(w, "drain ÷ limit\t%s\tof bare COPY in the order of arrival; %.2f by the processor's time\n", ratio(r.Ratio), r.CPURatio)
	fmt.Fprintf(w, "\t%s\tof bare COPY sorted by customer; %.2f by the processor's time\n\n", ratio(r.RatioSorted), r.CPURatioSorted)
	writeRateHeader(w, "READINGS A SECOND")
	writeRate(w, "limit, in order of arrival", r.Limit)
	writeRate(w, "limit, sorted", r.LimitSorted)
	writeRate(w, "drain", r.Drain)
	writeRate(w, "produce", r.Produce)
	d := r.DrainDetails
	fmt.Fprintf(w, "\nof a drain: %.0f rows a transaction, %.0f bytes of WAL and %.0f of disk a reading, %.0f a row of heartbeat_records with its indexes; consumer's memory %s\n",
		d.RowsPerTransaction, d.WALBytes, d.DiskBytes, d.TableBytes, mebibytes(float64(d.ResidentBytes)))
}

func writeRateHeader(w io.Writer, title string) {
	fmt.Fprintf(w, "%s\tmedian\tmin – max\tCPU µs a reading: consumer\tPostgreSQL\tbroker\tbench\tidle\n", title)
}

func writeRate(w io.Writer, name string, rate Rate) {
	u := rate.Usage
	fmt.Fprintf(w, "%s\t%s\t%s – %s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\n", name, thousands(rate.PerSecond.Median),
		thousands(rate.PerSecond.Min), thousands(rate.PerSecond.Max), u.Consumer, u.Database, u.Broker, u.Bench, u.Idle)
}

func (r *Report) writeDetection(w io.Writer) {
	d := r.Detection
	if d == nil {
		return
	}
	writeRateHeader(w, "DETECTION, readings a second")
	writeRate(w, "drain with detection", d.With)
	writeRate(w, "drain without", d.Without)
	fmt.Fprintf(w, "with ÷ without\t%s\t%.2f by the processor's time; %s events of alarms stored\n", ratio(d.Ratio), d.CPURatio(), thousands(float64(d.AlarmEvents)))
	fmt.Fprintf(w, "reading to alarm committed\tp50 %.1f ms\tp90 %.1f\tmax %.1f\n", d.Committed.P50, d.Committed.P90, d.Committed.Max)
	fmt.Fprintf(w, "reading to alarm on the stream\tp50 %.1f ms\tp90 %.1f\tmax %.1f\n", d.Shown.P50, d.Shown.P90, d.Shown.Max)
}

func (r *Report) writeIngest(w io.Writer) {
	i := r.Ingest
	if i == nil {
		return
	}
	fmt.Fprintln(w, "READINGS OVER HTTP\ta second\tp50 ms\tp90\tp99\tp99.9\tmax")
	row := func(name string, perSecond float64, l Latency) {
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\n", name, thousands(perSecond), l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	row(fmt.Sprintf("%d gateways, %d a request, as fast as answered", i.Gateways, i.Batch), i.Most, i.MostLatency)
	row(fmt.Sprintf("%d gateways, %d a request", i.Gateways, i.Batch), i.Half, i.HalfLatency)
	row(fmt.Sprintf("%s devices, 1 a request", thousands(float64(i.Devices))), i.Single, i.SingleLatency)
	fmt.Fprintf(w, "memory of heartbeat ingest\t%s\n", mebibytes(float64(i.ResidentBytes)))
}

func (r *Report) writeSteady(w io.Writer) {
	if len(r.Steady) == 0 {
		return
	}
	fmt.Fprintln(w, "STEADY, a second\tp50 ms\tp90\tp99\tp99.9\tmax\tsent p99\trows/tx\tlag max\tend\tconsumer %\tPostgreSQL %\tbroker %\tWAL B\tRSS")
	for _, s := range r.Steady {
		late := ""
		if !s.KeptUp {
			late = " (falls behind)"
		}
		percent := func(us float64) float64 { return us * float64(s.PerSecond) / 1e4 }
		fmt.Fprintf(w, "%s%s\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%s\n", thousands(float64(s.PerSecond)), late,
			s.Latency.P50, s.Latency.P90, s.Latency.P99, s.Latency.P999, s.Latency.Max, s.Sent.P99, s.RowsPerTransaction, s.MaxLag, s.EndLag,
			percent(s.Usage.Consumer), percent(s.Usage.Database), percent(s.Usage.Broker), s.WALBytes, mebibytes(float64(s.ResidentBytes)))
	}
}

func (r *Report) writeGrowth(w io.Writer) {
	if len(r.Growth) == 0 {
		return
	}
	fmt.Fprint(w, "GROWTH, rows stored before")
	for _, g := range r.Growth {
		fmt.Fprintf(w, "\t%s", thousands(float64(g.Rows)))
	}
	row := func(name string, cell func(Growth) string) {
		fmt.Fprintf(w, "\n%s", name)
		for _, g := range r.Growth {
			fmt.Fprintf(w, "\t%s", cell(g))
		}
	}
	row("drain, a second", func(g Growth) string { return thousands(g.Drain.PerSecond.Median) })
	row("first level in the same round, a second", func(g Growth) string { return thousands(g.First.PerSecond.Median) })
	row("drain ÷ first level", func(g Growth) string { return ratio(g.OfFirst) })
	row("bytes a record", func(g Growth) string { return fmt.Sprintf("%.0f", g.BytesPerReading) })
	row("WAL bytes a reading", func(g Growth) string { return fmt.Sprintf("%.0f", g.WALBytes) })
	row("PostgreSQL, µs a reading", func(g Growth) string { return fmt.Sprintf("%.2f", g.Drain.Usage.Database) })
	row("first level in the same round, µs", func(g Growth) string { return fmt.Sprintf("%.2f", g.First.Usage.Database) })
	for i, query := range r.Growth[0].Queries {
		row(query.Name+", ms", func(g Growth) string { return fmt.Sprintf("%.1f", g.Queries[i].Median) })
	}
	fmt.Fprintln(w)
	if p := r.Reindexed; p != nil {
		fmt.Fprintf(w, "\nreindexed after %s rows: %.0f bytes a record, in %.1f s\n", thousands(float64(p.Rows)), p.BytesPerReading, p.Seconds)
	}
}

func (r *Report) writeRest(w io.Writer) {
	if b := r.BigFleet; b != nil {
		fmt.Fprintf(w, "%s customers: drain %s a second, consumer's memory %s\n", thousands(float64(b.Customers)), thousands(b.PerSecond), mebibytes(float64(b.ResidentBytes)))
	}
	if b := r.Backfill; b != nil {
		fmt.Fprintf(w, "%s live a second alone: p99 %.1f ms, %.1f cores busy\n", thousands(float64(b.LivePerSecond)), b.Alone.P99, b.BusyAlone)
		for _, way := range []struct {
			name string
			Interference
		}{{"in the background", b.Background}, {"in the foreground", b.Foreground}} {
			fmt.Fprintf(w, "with a backfill of a day %s, at %s a second: p99 %.1f ms (%.1f times)\n",
				way.name, thousands(way.PerSecond), way.Live.P99, way.P99Ratio)
		}
	}
}

func ratio(s Spread) string { return fmt.Sprintf("%.2f (%.2f – %.2f)", s.Median, s.Min, s.Max) }

func mebibytes(bytes float64) string { return fmt.Sprintf("%.0f MiB", bytes/(1<<20)) }

// thousands writes a number with its digits in groups.
func thousands(number float64) string {
	digits := fmt.Sprintf("%.0f", number)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
