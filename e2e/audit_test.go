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

// proves names the promises that a scenario tests, so that any failure of it names them.
func proves(t testing.TB, promises string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s does not prove %s", t.Name(), promises)
		}
	})
}

// differences counts differences and reports the first eight.
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

// auditTables compares the topic's records with the rows of the tables, in both directions, and counts missing and
// duplicate rows.
func auditTables(t testing.TB, want topicContents, have tables) (lost, doubled int) {
	t.Helper()
	d := differences{t: t, what: "P1, every record stored exactly once"}
	for _, id := range have.duplicates {
		d.add("%v doubled: stored more than once", id)
	}
	for _, id := range want.ids() {
		stored, ok := have.records[id]
		switch {
		case !ok:
			lost++
			d.add("%v lost: want %v", id, want.records[id])
		case stored != want.records[id]:
			d.add("%v differs: stored %v, want %v", id, stored, want.records[id])
		case want.keys[id] != have.keys[id]:
			d.add("%v differs: the key of the dead letter is not the record's", id)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(have.records), compareIDs) {
		if _, ok := want.records[id]; !ok {
			d.add("%v invented: the topic has nothing there, stored is %v", id, have.records[id])
		}
	}
	d.report()
	auditAlerts(t, want, have)
	return lost, len(have.duplicates)
}

// auditAlerts checks that each anomaly has exactly one alert.
func auditAlerts(t testing.TB, want topicContents, have tables) {
	t.Helper()
	d := differences{t: t, what: "P6, an alert if and only if its anomaly is stored"}
	for _, id := range have.duplicateAlerts {
		d.add("%v raised more than one alert", id)
	}
	for _, id := range want.ids() {
		what := want.records[id]
		raised, ok := have.alerts[id]
		anomaly := what.Class != "" && what.Class != "NORMAL"
		expected := alert{"alert_" + strings.ToLower(what.Class), float64(what.BPM), "bpm"}
		switch {
		case anomaly && !ok:
			d.add("%v raised no alert: %v", id, what)
		case anomaly && raised != expected:
			d.add("%v raised %v, want %v", id, raised, expected)
		case !anomaly && ok:
			d.add("%v raised %v and is no anomaly: %v", id, raised, what)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(have.alerts), compareIDs) {
		if _, ok := want.records[id]; !ok {
			d.add("%v raised %v and does not exist", id, have.alerts[id])
		}
	}
	d.report()
}

// auditProgress checks that each partition's counters equal the oracle's and account for every offset.
func auditProgress(t testing.TB, pool *pgxpool.Pool, want topicContents, log string) {
	t.Helper()
	type counts struct{ first, next, stored, anomalies, dead, skipped, lost int64 }
	normal := want.count(func(f storedRecord) bool { return f.Class == "NORMAL" })
	dead := want.count(func(f storedRecord) bool { return f.Class == "" })
	all := want.count(func(storedRecord) bool { return true })
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

// auditOrder checks that the rows of each partition were stored in the order of their offsets.
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
func (c *topicContents) ids() []recordID {
	return slices.SortedFunc(maps.Keys(c.records), compareIDs)
}

func compareIDs(a, b recordID) int {
	return cmp.Or(cmp.Compare(a.Log, b.Log), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}

// String formats an id as topic/partition@offset.
func (p recordID) String() string { return fmt.Sprintf("%s/%d@%d", p.Log, p.Partition, p.Offset) }

// String describes a stored record in one line.
func (f storedRecord) String() string {
	if f.Class == "" {
		return fmt.Sprintf("dead letter %s (customer %q, %d bytes, digest %x)", f.Reason, f.Customer, f.Length, f.Digest[:4])
	}
	return fmt.Sprintf("%s %d bpm of %s at %d µs (digest %x)", f.Class, f.BPM, f.Customer, f.Micros, f.Digest[:4])
}
