package evaluate

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
)

//go:embed detection.md.tmpl
var documentText string

var document = template.Must(template.New("detection.md").Parse(documentText))

// view is the result with what only the document shows.
type view struct {
	*Result
	Command, Described                                        string
	Comparison, ByCondition, ByClock, ByKind, ByPart, ByDelay string
	Swept                                                     []sweptTable
	FalsePerDay, RulePerDay, Sensitivity, DelayP50, DelayP95  string
	CustomersPerOperator                                      int
}

type sweptTable struct{ Title, Table string }

// WriteMarkdown writes the result as a document that names the command.
func (r *Result) WriteMarkdown(w io.Writer, command string) error {
	d := &r.Detector
	v := view{
		Result: r, Command: command, Described: r.Fleet.describe(),
		Comparison: comparison([]Judged{r.Detector, r.Rule}).markdown(), ByCondition: conditionsGrid(d).markdown(), ByClock: r.Silence.grid().markdown(), ByKind: r.kindsGrid().markdown(),
		ByPart: comparison(append([]Judged{r.Detector}, r.Parts...)).markdown(), ByDelay: delaysGrid(r.Delays).markdown(),
		CustomersPerOperator: customersPerOperator,
		FalsePerDay:          fmt.Sprintf("%.3f", d.FalseUrgent.PerDay), RulePerDay: fmt.Sprintf("%.0f", r.Rule.FalseUrgent.PerDay),
		Sensitivity: fmt.Sprintf("%.1f %%", 100*d.Sensitivity.Share), DelayP50: fmt.Sprintf("%.0f s", d.DelayP50), DelayP95: fmt.Sprintf("%.0f s", d.DelayP95),
	}
	for i := range r.Sweeps {
		v.Swept = append(v.Swept, sweptTable{strings.ToUpper(r.Sweeps[i].Name[:1]) + r.Sweeps[i].Name[1:], r.Sweeps[i].grid().markdown()})
	}
	if err := document.Execute(w, v); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
