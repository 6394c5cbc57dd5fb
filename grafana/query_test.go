package grafana_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

var (
	timeFilter = regexp.MustCompile(`\$__timeFilter\(([^)]*)\)`)
	timeGroup  = regexp.MustCompile(`\$__timeGroupAlias\(([^,)]*),\s*'?([0-9]+)ms'?\)`)
)

// expand replaces macros and variables as Grafana does.
func expand(sql string, s span) string {
	from, to := "'"+s.from.Format(time.RFC3339Nano)+"'", "'"+s.to.Format(time.RFC3339Nano)+"'"
	milliseconds := strconv.FormatInt(s.interval.Milliseconds(), 10)
	sql = strings.NewReplacer(
		"$__timeFrom()", from, "$__timeTo()", to,
		"$__interval_ms", milliseconds, "$__interval", milliseconds+"ms",
		"${customer:sqlstring}", "'CUST_00042'", "$__searchFilter", "CUST_0%",
	).Replace(sql)
	sql = timeFilter.ReplaceAllString(sql, "$1 BETWEEN "+from+" AND "+to)
	return timeGroup.ReplaceAllStringFunc(sql, func(call string) string {
		parts := timeGroup.FindStringSubmatch(call)
		step, _ := strconv.Atoi(parts[2]) // digits
		return fmt.Sprintf(`floor(extract(epoch from %s)/%d)*%d AS "time"`, parts[1], step/1000, step/1000)
	})
}

// queryResult is a result with the kind of each column: time, number or text.
type queryResult struct {
	names, kinds []string
	rows         [][]any
}

func runQuery(t testing.TB, pool *pgxpool.Pool, sql string) queryResult {
	t.Helper()
	if strings.Contains(sql, "$") {
		t.Fatalf("the test does not know a macro or variable in:\n%s", sql)
	}
	rows, err := pool.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%v:\n%s", err, sql)
	}
	var a queryResult
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		a.rows = append(a.rows, values)
	}
	if rows.Err() != nil {
		t.Fatalf("%v:\n%s", rows.Err(), sql)
	}
	for _, field := range rows.FieldDescriptions() {
		a.names = append(a.names, field.Name)
		a.kinds = append(a.kinds, kindOf(field.DataTypeOID))
	}
	return a
}

func kindOf(oid uint32) string {
	switch oid {
	case pgtype.TimestamptzOID:
		return "time"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return "number"
	case pgtype.TextOID:
		return "text"
	default:
		return "oid " + strconv.Itoa(int(oid))
	}
}

func TestEveryPanelsQueryAnswersInTheShapeThatThePanelShows(t *testing.T) {
	t.Parallel()
	pool, now := seeded(t, 30_000, 100)
	for _, name := range sqlDashboards {
		for _, p := range readDashboard(t, name).Panels {
			t.Run(name+"/"+p.Title, func(t *testing.T) {
				t.Parallel()
				for _, target := range p.Targets {
					a := runQuery(t, pool, expand(target.RawSQL, spanOf(t, p, now)))
					if len(a.rows) == 0 {
						t.Fatal("no row")
					}
					checkShape(t, p, target, a)
					checkOverrides(t, p, target, a)
				}
			})
		}
	}
}

func checkShape(t *testing.T, p panel, target target, a queryResult) {
	t.Helper()
	switch {
	case p.Type == "timeseries" && target.Format == "time_series":
		wantColumns(t, a, "time metric value", "time text number")
		wantAscending(t, a)
	case p.Type == "timeseries":
		if a.names[0] != "time" || len(a.names) < 2 || slices.ContainsFunc(a.kinds[1:], func(kind string) bool { return kind != "number" }) {
			t.Errorf("columns %v are %v, want a time and numbers", a.names, a.kinds)
		}
		wantAscending(t, a)
	case p.Type == "stat":
		want := "number"
		if p.Options.ReduceOptions.Fields != "" {
			want = "text"
		}
		if len(a.rows) != 1 || len(a.kinds) != 1 || a.kinds[0] != want || a.rows[0][0] == nil {
			t.Errorf("columns %v are %v, rows %v, want one %s", a.names, a.kinds, a.rows, want)
		}
	case p.Type == "piechart":
		if len(a.rows) != 1 || slices.ContainsFunc(a.kinds, func(kind string) bool { return kind != "number" }) {
			t.Errorf("columns %v are %v in %d rows, want one row of numbers", a.names, a.kinds, len(a.rows))
		}
	case p.Type == "bargauge":
		if len(a.kinds) != 2 || a.kinds[0] != "text" || a.kinds[1] != "number" {
			t.Errorf("columns %v are %v, want a text and a number", a.names, a.kinds)
		}
	case p.Type == "table":
		for i, kind := range a.kinds {
			if strings.HasPrefix(kind, "oid") {
				t.Errorf("column %s is of %s, which Grafana does not show", a.names[i], kind)
			}
		}
	default:
		t.Errorf("the test does not know panels of type %s", p.Type)
	}
}

func wantColumns(t *testing.T, a queryResult, names, kinds string) {
	t.Helper()
	if strings.Join(a.names, " ") != names || strings.Join(a.kinds, " ") != kinds {
		t.Errorf("columns %v are %v, want %s", a.names, a.kinds, names)
	}
}

func wantAscending(t *testing.T, a queryResult) {
	t.Helper()
	for i := 1; i < len(a.rows); i++ {
		if fmt.Sprint(a.rows[i-1][0]) > fmt.Sprint(a.rows[i][0]) && seconds(a.rows[i-1][0]) > seconds(a.rows[i][0]) {
			t.Fatalf("row %d is of %v, the one before of %v: Grafana wants times in order", i, a.rows[i][0], a.rows[i-1][0])
		}
	}
}

func seconds(value any) float64 {
	switch value := value.(type) {
	case time.Time:
		return float64(value.UnixMicro()) / 1e6
	case pgtype.Numeric:
		f, _ := value.Float64Value()
		return f.Float64
	case float64:
		return value
	default:
		return 0
	}
}

// checkOverrides checks that overrides name existing columns or series.
func checkOverrides(t *testing.T, p panel, target target, a queryResult) {
	t.Helper()
	names := slices.Clone(a.names)
	if target.Format == "time_series" {
		for _, row := range a.rows {
			names = append(names, row[1].(string))
		}
	}
	for _, override := range p.FieldConfig.Overrides {
		if override.Matcher.ID != "byName" || !slices.Contains(names, override.Matcher.Options) {
			t.Errorf("an override names %q, but there is only %v", override.Matcher.Options, slices.Compact(names))
		}
	}
}

func TestEveryVariableAndAnnotationAnswers(t *testing.T) {
	t.Parallel()
	pool, now := seeded(t, 30_000, 1_000)
	hour := spanOf(t, panel{}, now)
	for _, name := range dashboards {
		d := readDashboard(t, name)
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				t.Errorf("variable %s of %s is of type %s", v.Name, name, v.Type)
				continue
			}
			a := runQuery(t, pool, expand(v.Query, hour))
			if len(a.names) != 1 || a.kinds[0] != "text" || len(a.rows) != 100 {
				t.Errorf("variable %s gives columns %v, %d rows, want 100 of one column", v.Name, a.names, len(a.rows))
			}
		}
		for _, annotation := range d.Annotations.List {
			a := runQuery(t, pool, expand(annotation.Target.RawSQL, hour))
			wantColumns(t, a, "time text tags", "time text text")
			if len(a.rows) != 1 {
				t.Errorf("annotation %s gives %d rows, want the incident", annotation.Name, len(a.rows))
			}
		}
	}
}

func TestEveryAlertRulesQueryGivesOneNumber(t *testing.T) {
	t.Parallel()
	pool, now := seeded(t, 30_000, 1_000)
	for _, rule := range alertRules(t) {
		a := runQuery(t, pool, at(rule.sql(), now))
		if len(a.rows) != 1 || len(a.kinds) != 1 || a.kinds[0] != "number" || a.rows[0][0] == nil {
			t.Errorf("rule %q gives columns %v of %v and %d rows, want one number", rule.Title, a.names, a.kinds, len(a.rows))
		}
	}
}

func TestNewDatabaseShowsZeroAndNoError(t *testing.T) {
	t.Parallel()
	pool, now := newFleet(t, 1).pool, time.Now().UTC()
	for _, name := range sqlDashboards {
		for _, p := range readDashboard(t, name).Panels {
			for _, target := range p.Targets {
				a := runQuery(t, pool, expand(target.RawSQL, spanOf(t, p, now)))
				if p.Type == "stat" && name == "main.json" && (len(a.rows) != 1 || fmt.Sprint(a.rows[0][0]) != "0") {
					t.Errorf("panel %q shows %v, want 0", p.Title, a.rows)
				}
			}
		}
	}
}

// The main dashboard's figures equal those of the raw rows.
func TestStatsAgreeWithTheRows(t *testing.T) {
	t.Parallel()
	pool, now := seeded(t, 30_000, 100)
	for _, p := range readDashboard(t, "main.json").Panels {
		var truth string
		switch p.Title {
		case "Total Valid Records":
			truth = `SELECT count(*) FROM heartbeat_records`
		case "Total Anomalies":
			truth = `SELECT count(*) FROM heartbeat_anomalies`
		case "Anomalies (Last 5 min)":
			truth = `SELECT count(*) FROM heartbeat_anomalies WHERE event_timestamp >= $__timeFrom()`
		case "Active Customers (Last 60 min)":
			truth = `SELECT count(DISTINCT customer_id) FROM (SELECT customer_id FROM heartbeat_records WHERE event_timestamp >= $__timeFrom()
UNION ALL SELECT customer_id FROM heartbeat_anomalies WHERE event_timestamp >= $__timeFrom()) AS reading`
		default:
			continue
		}
		s := spanOf(t, p, now)
		got, want := runQuery(t, pool, expand(p.Targets[0].RawSQL, s)).rows[0][0], runQuery(t, pool, expand(truth, s)).rows[0][0]
		if got != want || want == int64(0) {
			t.Errorf("panel %q shows %v, the rows have %v", p.Title, got, want)
		}
	}
}

// Grafana's role can read what the dashboards need and no more: anybody who may edit a dashboard could show the rest.
func TestGrafanasRoleMayRunEveryQuery(t *testing.T) {
	t.Parallel()
	owner, now := seeded(t, 3_000, 100)
	const password = "read-only"
	if err := schema.ApplyRoles(t.Context(), owner, map[schema.Role]string{schema.GrafanaRole: password}); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(pgtest.URL(owner))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(string(schema.GrafanaRole), password)
	pool, err := postgres.Open(t.Context(), postgres.Options{URL: address.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for _, name := range dashboards {
		d := readDashboard(t, name)
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.RawSQL != "" {
					runQuery(t, pool, expand(target.RawSQL, spanOf(t, p, now)))
				}
			}
		}
		for _, v := range d.Templating.List {
			runQuery(t, pool, expand(v.Query, spanOf(t, panel{}, now)))
		}
		for _, annotation := range d.Annotations.List {
			runQuery(t, pool, expand(annotation.Target.RawSQL, spanOf(t, panel{}, now)))
		}
	}
	for _, rule := range alertRules(t) {
		runQuery(t, pool, at(rule.sql(), now))
	}
}
