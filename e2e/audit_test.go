package e2e_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// proves says which promises a scenario is about, so that its failure names them, whatever way it fails.
func proves(t testing.TB, promises string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s does not prove %s", t.Name(), promises)
		}
	})
}

// differences collects what does not add up, and shows the first few.
type differences struct {
	t     testing.TB
	what  string
	shown []string
	total int
}

func (d *differences) add(format string, arguments ...any) {
	d.total++
	if len(d.shown) < 8 {
		d.shown = append(d.shown, fmt.Sprintf(format, arguments...))
	}
}

func (d *differences) report() {
	d.t.Helper()
	if d.total > 0 {
		d.t.Errorf("%s: %d differences, the first of them:\n\t%s", d.what, d.total, strings.Join(d.shown, "\n\t"))
	}
}

// auditTables compares what the topic held with what the tables hold, both ways, and counts what is missing and what is
// there more than once.
func auditTables(t testing.TB, want contents, have tables) (lost, doubled int) {
	t.Helper()
	d := differences{t: t, what: "P1, every record stored exactly once"}
	for _, at := range have.doubled {
		d.add("%v doubled: stored more than once", at)
	}
	for _, at := range want.order() {
		stored, ok := have.facts[at]
		switch {
		case !ok:
			lost++
			d.add("%v lost: want %v", at, want.facts[at])
		case stored != want.facts[at]:
			d.add("%v differs: stored %v, want %v", at, stored, want.facts[at])
		case want.keys[at] != have.keys[at]:
			d.add("%v differs: the key of the dead letter is not the record's", at)
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(have.facts), comparePlaces) {
		if _, ok := want.facts[at]; !ok {
			d.add("%v invented: the topic has nothing there, stored is %v", at, have.facts[at])
		}
	}
	d.report()
	auditAlerts(t, want, have)
	return lost, len(have.doubled)
}

// auditAlerts wants exactly one alert for each anomaly.
func auditAlerts(t testing.TB, want contents, have tables) {
	t.Helper()
	d := differences{t: t, what: "P6, an alert if and only if its anomaly is stored"}
	for _, at := range have.repeats {
		d.add("%v raised more than one alert", at)
	}
	for _, at := range want.order() {
		what := want.facts[at]
		raised, ok := have.alerts[at]
		anomaly := what.Class != "" && what.Class != "NORMAL"
		expected := alert{"alert_" + strings.ToLower(what.Class), float64(what.BPM), "bpm"}
		switch {
		case anomaly && !ok:
			d.add("%v raised no alert: %v", at, what)
		case anomaly && raised != expected:
			d.add("%v raised %v, want %v", at, raised, expected)
		case !anomaly && ok:
			d.add("%v raised %v and is no anomaly: %v", at, raised, what)
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(have.alerts), comparePlaces) {
		if _, ok := want.facts[at]; !ok {
			d.add("%v raised %v and does not exist", at, have.alerts[at])
		}
	}
	d.report()
}

// auditProgress wants the counters of each partition to be the oracle's own, and every offset accounted for.
func auditProgress(t testing.TB, pool *pgxpool.Pool, want contents, log string) {
	t.Helper()
	type counts struct{ first, next, stored, anomalies, dead, skipped, lost int64 }
	normal := want.count(func(f fact) bool { return f.Class == "NORMAL" })
	dead := want.count(func(f fact) bool { return f.Class == "" })
	all := want.count(func(fact) bool { return true })
	d := differences{t: t, what: "P2, every offset accounted for"}
	seen := map[int32]bool{}
	scan(t, pool, `SELECT partition, first_offset, next_offset, stored, anomalies, dead_lettered, skipped, lost, kafka_topic FROM ingest_progress`,
		func(rows pgx.Rows) error {
			var partition int32
			var have counts
			var label string
			err := rows.Scan(&partition, &have.first, &have.next, &have.stored, &have.anomalies, &have.dead, &have.skipped, &have.lost, &label)
			if err != nil || label != log {
				return err
			}
			seen[partition] = true
			b := want.bounds[partition]
			expected := counts{
				first: b.start, next: b.end, stored: normal[partition], dead: dead[partition],
				anomalies: all[partition] - normal[partition] - dead[partition], skipped: b.end - b.start - all[partition],
			}
			if have != expected {
				d.add("partition %d: progress has %+v, want %+v", partition, have, expected)
			}
			return nil
		})
	for partition, b := range want.bounds {
		if b.end > b.start && !seen[partition] {
			d.add("partition %d: no progress, want offsets %d to %d", partition, b.start, b.end)
		}
	}
	d.report()
}

// auditOrder wants the rows of each partition stored in the order of their offsets, and what is kept of each customer to be
// the latest of the customer's readings.
func auditOrder(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	backwards := value[int64](t, pool, `
SELECT count(*)
  FROM (SELECT ingestion_timestamp < lag(ingestion_timestamp) OVER (PARTITION BY kafka_topic, kafka_partition ORDER BY kafka_offset) AS back
          FROM (SELECT kafka_topic, kafka_partition, kafka_offset, ingestion_timestamp FROM heartbeat_records
                UNION ALL
                SELECT kafka_topic, kafka_partition, kafka_offset, ingestion_timestamp FROM heartbeat_anomalies) AS stored) AS steps
 WHERE back`)
	if backwards > 0 {
		t.Errorf("P7, order: %d rows were stored before rows of lower offsets of their partition", backwards)
	}
}

// auditContract runs the queries of the contract that must return nothing.
func auditContract(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	for name, query := range map[string]string{
		"records outside 40 to 180":      `SELECT count(*) FROM heartbeat_records WHERE heart_rate NOT BETWEEN 40 AND 180`,
		"anomalies of unknown type":      `SELECT count(*) FROM heartbeat_anomalies WHERE anomaly_type NOT IN ('BRADYCARDIA', 'TACHYCARDIA', 'INVALID')`,
		"ill-formed ids in records":      `SELECT count(*) FROM heartbeat_records WHERE customer_id !~ '^CUST_([0-9]{5}|[1-9][0-9]{5,8})$'`,
		"ill-formed ids in anomalies":    `SELECT count(*) FROM heartbeat_anomalies WHERE customer_id !~ '^CUST_([0-9]{5}|[1-9][0-9]{5,8})$'`,
		"rates outside their class":      `SELECT count(*) FROM heartbeat_anomalies WHERE NOT CASE anomaly_type WHEN 'BRADYCARDIA' THEN heart_rate BETWEEN 1 AND 39 WHEN 'TACHYCARDIA' THEN heart_rate BETWEEN 181 AND 300 ELSE heart_rate <= 0 OR heart_rate >= 301 END`,
		"places stored twice in records": `SELECT count(*) FROM (SELECT 1 FROM heartbeat_records GROUP BY kafka_topic, kafka_partition, kafka_offset HAVING count(*) > 1) AS twice`,
	} {
		if n := value[int64](t, pool, query); n > 0 {
			t.Errorf("%s: %d, want 0", name, n)
		}
	}
}

// order returns the places in the order of their offsets.
func (c *contents) order() []place {
	return slices.SortedFunc(maps.Keys(c.facts), comparePlaces)
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.Log, b.Log), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}

// String shows a place as log/partition@offset.
func (p place) String() string { return fmt.Sprintf("%s/%d@%d", p.Log, p.Partition, p.Offset) }

// String shows a fact in a line.
func (f fact) String() string {
	if f.Class == "" {
		return fmt.Sprintf("dead letter %s (customer %q, %d bytes, digest %x)", f.Reason, f.Customer, f.Length, f.Digest[:4])
	}
	return fmt.Sprintf("%s %d bpm of %s at %d µs (digest %x)", f.Class, f.BPM, f.Customer, f.Micros, f.Digest[:4])
}
