package evaluate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"heartbeat/internal/simulate"
)

// WriteTable writes the result for a terminal.
func (r *Result) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.Fleet.describe())
	b.WriteString("\n")
	for _, t := range r.Targets {
		mark := "met   "
		if !t.Met {
			mark = "MISSED"
		}
		fmt.Fprintf(&b, "%s  %s: %s, want %s\n", mark, t.Name, t.Got, t.Want)
	}
	for _, section := range r.sections() {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(section.title))
		section.grid.writeAligned(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// section is a table with its title.
type section struct {
	title string
	grid  grid
}

func (r *Result) sections() []section {
	sections := []section{
		{"detector and rule", comparison([]Judged{r.Detector, r.Rule})},
		{"by condition", conditionsGrid(&r.Detector)},
		{"silence, which a clock decides", r.Silence.grid()},
		{"by kind of episode", r.kindsGrid()},
	}
	if len(r.Parts) > 0 {
		sections = append(sections, section{"with one part changed", comparison(append([]Judged{r.Detector}, r.Parts...))})
	}
	if len(r.Delays) > 0 {
		sections = append(sections, section{"other delays before a raise", delaysGrid(r.Delays)})
	}
	for i := range r.Sweeps {
		sections = append(sections, section{"by " + r.Sweeps[i].Name, r.Sweeps[i].grid()})
	}
	return sections
}

func (f *FleetResult) describe() string {
	return fmt.Sprintf("%d customers for %g days, a reading every %s, %s of them artefacts and %s sensor faults; %d readings, seed %d",
		f.Customers, f.Hours/24, shortDuration(f.Interval), percent(f.AnomalyRate), percent(f.InvalidRate), f.Readings, f.Seed)
}

// grid is a table of text. The first row is the header.
type grid [][]string

func (g grid) writeAligned(b *strings.Builder) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range g {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush() // into memory
}

func (g grid) markdown() string {
	var b strings.Builder
	for i, row := range g {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// WriteComparison writes what several sources of alarms are worth, for a terminal.
func WriteComparison(w io.Writer, judged ...Judged) error {
	var b strings.Builder
	comparison(judged).writeAligned(&b)
	for i := range judged {
		fmt.Fprintf(&b, "\n%s, by condition\n", judged[i].Title)
		conditionsGrid(&judged[i]).writeAligned(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var comparisonHeader = []string{
	"variant", "false HIGH + MEDIUM a day", "false LOW a day", "sensitivity", "PPV", "delay p50", "p95", "alarms per operator-day", "flaps a day",
}

func comparison(judged []Judged) grid {
	g := grid{comparisonHeader}
	for i := range judged {
		g = append(g, append([]string{judged[i].Title}, judged[i].cells()...))
	}
	return g
}

func (j *Judged) cells() []string {
	return []string{
		j.FalseUrgent.String(), j.FalseLow.String(), j.Sensitivity.String(), j.PPV.String(), seconds(j.DelayP50, j.Sensitivity),
		seconds(j.DelayP95, j.Sensitivity), fmt.Sprintf("%.0f", j.AlarmsPerOperatorDay), j.Flaps.String(),
	}
}

func conditionsGrid(j *Judged) grid {
	g := grid{{"condition", "episodes", "sensitivity", "alarms", "false a day", "PPV", "delay p50", "p95", "flaps a day"}}
	for _, c := range j.Conditions {
		g = append(g, []string{
			string(c.Condition), fmt.Sprint(c.Sensitivity.Of), c.Sensitivity.String(), fmt.Sprint(c.Alarms), c.False.String(), c.PPV.String(),
			seconds(c.DelayP50, c.Sensitivity), seconds(c.DelayP95, c.Sensitivity), c.Flaps.String(),
		})
	}
	return g
}

func (r *Result) kindsGrid() grid {
	header := []string{"kind of episode", "episodes", "days in them", "found"}
	for _, condition := range Conditions {
		header = append(header, "false "+string(condition))
	}
	g := grid{header}
	for _, k := range r.Kinds {
		found := "no alarm is right"
		switch {
		case k.Found.Of > 0:
			found = k.Found.String()
		default:
			for _, silent := range r.Silence.Kinds {
				if silent.Kind == k.Kind {
					found = silent.Found.String()
				}
			}
		}
		row := []string{strings.ReplaceAll(k.Kind, "_", " "), fmt.Sprint(k.Episodes), fmt.Sprintf("%.1f", k.Days), found}
		for _, count := range k.False {
			row = append(row, fmt.Sprint(count.Alarms))
		}
		g = append(g, row)
	}
	days := r.Detector.CustomerDays
	for _, k := range r.Kinds {
		days -= k.Days
	}
	row := []string{"outside of episodes", "", fmt.Sprintf("%.1f", days), ""}
	for _, count := range r.Outside {
		row = append(row, fmt.Sprint(count.Alarms))
	}
	return append(g, row)
}

// grid has false alarms of silent in a customer-day, and of outage in a day of the fleet.
func (s *SilenceResult) grid() grid {
	g := grid{{"condition", "episodes", "found", "alarms", "false a day", "delay p50", "p95", "after the limit, most", "told as ended p50", "p95"}}
	for i, c := range [...]*ClockResult{&s.Silent, &s.Outage} {
		row := []string{
			string(c.Condition), fmt.Sprint(c.Sensitivity.Of), c.Sensitivity.String(), fmt.Sprint(c.Alarms), c.False.String(),
			seconds(c.DelayP50, c.Sensitivity), seconds(c.DelayP95, c.Sensitivity),
		}
		if i == 0 {
			row = append(row, fmt.Sprintf("%.1f s", c.AfterLimit), "with the next reading", "")
		} else {
			row = append(row, "", seconds(c.EndedP50, c.Sensitivity), seconds(c.EndedP95, c.Sensitivity))
		}
		g = append(g, row)
	}
	return g
}

func delaysGrid(judged []Judged) grid {
	g := grid{{"delay", "false HIGH + MEDIUM a day", "sensitivity", "delay p50", "p95"}}
	for i := range judged {
		j := &judged[i]
		g = append(g, []string{
			j.Title, j.FalseUrgent.String(), j.Sensitivity.String(), seconds(j.DelayP50, j.Sensitivity), seconds(j.DelayP95, j.Sensitivity),
		})
	}
	return g
}

func (s *Sweep) grid() grid {
	g := grid{{
		s.Name, "customer-days", "false HIGH + MEDIUM a day", "false LOW a day", "sensitivity", "of it HIGH", "delay p50", "p95", "per-reading rule: false a day",
	}}
	for i := range s.Points {
		p := &s.Points[i]
		j := &p.Detector
		g = append(g, []string{
			p.Value, fmt.Sprintf("%.0f", j.CustomerDays), j.FalseUrgent.String(), j.FalseLow.String(), j.Sensitivity.String(),
			j.urgentSensitivity().String(), seconds(j.DelayP50, j.Sensitivity), seconds(j.DelayP95, j.Sensitivity),
			fmt.Sprintf("%.0f", p.Rule.FalseUrgent.PerDay),
		})
	}
	return g
}

// urgentSensitivity is the share of episodes of a rate whose alarm became HIGH.
func (j *Judged) urgentSensitivity() Share {
	count, of := 0, 0
	for _, c := range j.Conditions {
		if c.Condition != simulate.BadSignal {
			count, of = count+c.UrgentSensitivity.Count, of+c.UrgentSensitivity.Of
		}
	}
	return shareOf(count, of)
}

// String gives the rate and its interval with as many digits as they deserve.
func (r Rate) String() string {
	digits := 3
	if r.PerDay >= 10 {
		digits = 0
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, r.PerDay, digits, r.Least, digits, r.Most)
}

// String gives the share and its interval in percent.
func (s Share) String() string {
	if s.Of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*s.Share, 100*s.Least, 100*s.Most)
}

// seconds is a delay, if any episode was found.
func seconds(value float64, found Share) string {
	if found.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f s", value)
}
