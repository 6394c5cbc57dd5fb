package grafana_test

import (
	"encoding/json"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// With -readings=20000000 the test loads that many, which takes minutes, and limits the duration of each query: the fastest of
// many runs, which other load disturbs least. By default the test limits the number of rows that a query reads instead.
var manyReadings = flag.Int("readings", 0, "load this many readings and measure the time that queries take")

const (
	// The limits include planning. A rule runs once a minute in the background.
	panelLimit = 10 * time.Millisecond
	ruleLimit  = 20 * time.Millisecond
	// workLimit is how many rows a query may read, about as many as the time limit allows.
	workLimit = 40_000
	// beginningPartition is more than half of the anomalies that TestQueryCostIsBounded has in an hour.
	beginningPartition = 10_000
)

// node is a step of a plan.
type node struct {
	NodeType  string  `json:"Node Type"`
	Relation  string  `json:"Relation Name"`
	Rows      float64 `json:"Actual Rows"`
	Filtered  float64 `json:"Rows Removed by Filter"`
	Rechecked float64 `json:"Rows Removed by Index Recheck"`
	Loops     float64 `json:"Actual Loops"`
	Plans     []node
}

type plan struct {
	Plan      node
	Planning  float64 `json:"Planning Time"`
	Execution float64 `json:"Execution Time"`
}

// work counts the rows that scans touched.
func (n node) work() float64 {
	var work float64
	if n.Relation != "" {
		work = (n.Rows + n.Filtered + n.Rechecked) * n.Loops
	}
	for _, below := range n.Plans {
		work += below.work()
	}
	return work
}

// scansWhole names a table of readings that a plan reads completely and mostly discards. The partition of an hour that has
// begun may be read completely: while it is small, that is cheaper than its index.
func (n node) scansWhole() string {
	readings := strings.HasPrefix(n.Relation, "heartbeat_") || strings.HasPrefix(n.Relation, "pipeline_metrics")
	if n.NodeType == "Seq Scan" && readings && n.Loops*n.Filtered > beginningPartition {
		return n.Relation
	}
	for _, below := range n.Plans {
		if name := below.scansWhole(); name != "" {
			return name
		}
	}
	return ""
}

func explain(t testing.TB, pool *pgxpool.Pool, sql string) plan {
	t.Helper()
	var text string
	if err := pool.QueryRow(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+sql, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		t.Fatalf("%v:\n%s", err, sql)
	}
	var plans []plan
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0]
}

func TestQueryCostIsBounded(t *testing.T) {
	readings, customers := 300_000, 10_000
	if *manyReadings > 0 {
		readings = *manyReadings
	}
	pool, now := seeded(t, readings, customers)
	checkEveryQuery(t, pool, now)
}

func checkEveryQuery(t *testing.T, pool *pgxpool.Pool, now time.Time) {
	t.Helper()
	for _, name := range sqlDashboards {
		d := readDashboard(t, name)
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				checkCost(t, pool, name+"/"+p.Title, expand(target.RawSQL, spanOf(t, p, now)), panelLimit)
			}
		}
		for _, v := range d.Templating.List {
			checkCost(t, pool, name+"/$"+v.Name, expand(v.Query, spanOf(t, panel{}, now)), panelLimit)
		}
		for _, annotation := range d.Annotations.List {
			checkCost(t, pool, name+"/"+annotation.Name, expand(annotation.Target.RawSQL, spanOf(t, panel{}, now)), panelLimit)
		}
	}
	for _, rule := range alertRules(t) {
		checkCost(t, pool, "rule/"+rule.Title, at(rule.sql(), now), ruleLimit)
	}
}

func checkCost(t *testing.T, pool *pgxpool.Pool, name, sql string, limit time.Duration) {
	t.Helper()
	runs := 1
	if *manyReadings > 0 {
		runs = 21
	}
	var times []time.Duration
	var last plan
	for range runs {
		last = explain(t, pool, sql)
		times = append(times, time.Duration((last.Planning+last.Execution)*float64(time.Millisecond)).Round(10*time.Microsecond))
	}
	slices.Sort(times)
	median := times[runs/2]
	t.Logf("%-50s fastest %8v, median %8v, %6.0f rows read", name, times[0], median, last.Plan.work())
	if table := last.Plan.scansWhole(); table != "" {
		t.Errorf("%s reads the whole of %s", name, table)
	}
	if work := last.Plan.work(); work > workLimit {
		t.Errorf("%s reads %.0f rows, want at most %d", name, work, workLimit)
	}
	if *manyReadings > 0 && times[0] > limit {
		t.Errorf("%s takes %v, want at most %v", name, times[0], limit)
	}
}
