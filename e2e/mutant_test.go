package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit replaces a piece of the product's code.
type edit struct{ file, old, new string }

// mutant is a defect that the suite must find.
type mutant struct {
	name     string
	edits    []edit
	scenario string   // the test that must fail
	options  []string // of its run
	promise  string   // that its failure must name
	message  string   // that its failure must contain, so that another failure is not taken for it
}

var mutants = []mutant{
	{
		name: "commit past a failed record", scenario: "TestRecordRefusedByTheDatabase", promise: "P1",
		message: "P1, every record stored exactly once",
		edits: []edit{{"internal/pipeline/worker.go", `	return w.write(ctx, reject(batch, records[0], err))`, `	batch.Readings = nil
	batch.Skipped++
	return w.write(ctx, batch)`}},
	},
	{
		name: "dedupe by partition and offset without the topic's identity", scenario: "TestTopicRecreatedUnderItsName/stopped", promise: "P1",
		message: "of the new topic are stored as",
		edits:   []edit{{"internal/postgres/ingest/topiclog.go", `	return l.topicID == id || l.topicID == anonymous || id == anonymous`, `	return true`}},
	},
	{
		name: "alert row outside the transaction", scenario: "TestCrashAtNamedPointsLosesAndDoublesNothing/after-commit", promise: "P6", options: []string{"-crashes", "3"},
		message: "P6, an alert if and only if its anomaly is stored",
		edits: []edit{
			{"internal/postgres/ingest/tables.go", `		{"copy_metrics", copyMetricsSQL, encodeMetrics},
`, ``},
			{"internal/postgres/ingest/batch.go", `// addRollups adds`, `func (e *encodedBatch) copyLate(ctx context.Context, conn *pgx.Conn, batch *pipeline.Batch) error {
	rows := encodeMetrics(e, []byte(pgwire.CopyHeader), batch)
	p := pgwire.NewPipeline(conn)
	p.Copy(ctx, "copy_late", copyMetricsSQL, append(rows, pgwire.CopyTrailer...))
	return p.Run(ctx)
}

// addRollups adds`},
			{"internal/postgres/ingest/write.go", `		return write(ctx, &encoded.statements, claim, batch, encoded)`, `		if err := write(ctx, &encoded.statements, claim, batch, encoded); err != nil {
			return err
		}
		return encoded.copyLate(ctx, conn, batch)`},
		},
	},
	{
		name: "parse failures only counted", scenario: "TestEveryNamedValueThroughTheWholePath", promise: "P1",
		message: "P1, every record stored exactly once",
		edits:   []edit{{"internal/pipeline/batch.go", `		b.DeadLetters = append(b.DeadLetters, heartbeat.NewDeadLetter(*record, rejection))`, `		b.Skipped++`}},
	},
	{
		name: "truncating before classifying", scenario: "TestEveryNamedValueThroughTheWholePath", promise: "P1",
		message: "P1, every record stored exactly once",
		edits:   []edit{{"internal/heartbeat/decoder.go", `Classify(rate)`, `Classify(float64(int64(rate)))`}},
	},
	{
		name: "retrying COMMIT blindly", scenario: "TestConnectionCutAtCommitIsHarmless", promise: "P4", options: []string{"-cuts", "4"},
		message: "every_offset_accounted_for",
		edits: []edit{
			{"internal/pipeline/worker.go", `	case Stale, OutcomeUnknown:
		next`, `	case Stale:
		next`},
			{"internal/postgres/ingest/write.go", `AND fence = $3 AND next_offset = $4`, `AND fence = $3 AND $4::bigint IS NOT NULL`},
		},
	},
	{
		name: "no fence", scenario: "TestZombieCannotWrite", promise: "P3", options: []string{"-freezes", "1"},
		message: "the database has refused no write of the zombie",
		edits:   []edit{{"internal/postgres/ingest/write.go", `AND fence = $3 AND`, `AND $3::bigint IS NOT NULL AND`}},
	},
	{
		name: "fence raised after the read", scenario: "TestClaimWaitsForTheBatchUnderWay", promise: "P3",
		message: "the last to claim was fenced",
		edits: []edit{{"internal/postgres/ingest/claim.go", `		return s.raiseFence(ctx, conn, &claim, current.identity(partition))`, `		err = s.raiseFence(ctx, conn, &claim, current.identity(partition))
		if found {
			claim.Next = current.next
		}
		return err`}},
	},
	{
		name: "offset commit before the transaction's commit", scenario: "TestCommittedOffsetNeverExceedsStoredOffset", promise: "P1",
		message: "is committed to Kafka",
		edits: []edit{{"internal/kafka/consumer/partitionqueue.go", `	if err := q.worker.Process(`, `	last := records[len(records)-1]
	q.setStored(kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1})
	if err := q.worker.Process(`}},
	},
	{
		name: "alarm outside the transaction", scenario: "TestAlarmsAreThoseOfARunWithoutKills", promise: "P11",
		message: "P11, no alarm is missed and none is raised twice",
		edits: []edit{
			{"internal/postgres/ingest/write.go", `	if err := alarmstore.AddTransitions(ctx, p, claim.Log, claim.Number, batch.Transitions); err != nil {
		return err
	}
`, ``},
			{"internal/postgres/ingest/write.go", `		return write(ctx, &encoded.statements, claim, batch, encoded)`, `		if err := write(ctx, &encoded.statements, claim, batch, encoded); err != nil {
			return err
		}
		late := pgwire.NewPipeline(conn)
		late.Execute(ctx, "begin", "BEGIN")
		if err := alarmstore.AddTransitions(ctx, late, claim.Log, claim.Number, batch.Transitions); err != nil {
			return err
		}
		return late.Commit(ctx)`},
		},
	},
	{
		name: "detector states not restored on a claim", scenario: "TestAlarmsAreThoseOfARunWithoutKills", promise: "P11",
		message: "P11, no alarm is missed and none is raised twice",
		edits: []edit{{"internal/pipeline/detection.go", `	for i := range stored {
		phases[stored[i].Customer] =`, `	stored = nil
	for i := range stored {
		phases[stored[i].Customer] =`}},
	},
	{
		name: "transitions written again on replay", scenario: "TestAlarmsAreThoseOfARunWithoutKills", promise: "P11",
		message: "P11, no alarm is missed and none is raised twice",
		edits: []edit{
			{"internal/pipeline/detection.go", `	scratch []detect.Transition
`, `	scratch []detect.Transition
	again   []alarm.Transition
`},
			{"internal/pipeline/detection.go", `		d.step(state, reading, limits)
		d.silence`, `		for _, t := range d.step(state, reading, limits) {
			if t.Kind == detect.Raise && t.Priority == detect.High {
				d.again = append(d.again, alarm.Detected(reading.Customer, &t))
			}
		}
		d.silence`},
			{"internal/pipeline/detection.go", `	for i := range batch.Readings {
		reading := &batch.Readings[i]
		state`, `	batch.Transitions, d.again = append(batch.Transitions, d.again...), nil
	for i := range batch.Readings {
		reading := &batch.Readings[i]
		state`},
			{"internal/alarm/event.go", `	return uuid.NewSHA1(namespace, name)`, `	return uuid.New()`},
			{"internal/postgres/alarmstore/apply.go", `
       AND (held.kafka_topic = $1::text AND held.kafka_partition = $2::integer AND held.kafka_offset > t.kafka_offset) IS NOT TRUE`, ``},
		},
	},
	{
		name: "unbounded buffer while retrying", scenario: "TestTableLockedForLong", promise: "P9", options: []string{"-lock", "60s"},
		message: "P9, memory is bounded",
		edits: []edit{
			{"internal/kafka/consumer/fetch.go", `limit-pollRecords)`, `1<<30+0*limit)`},
			{"internal/kafka/consumer/partitionqueue.go", ` || len(q.pending.bytes) >= maxBufferedBytes`, ``},
		},
	},
}

// Every mutant still applies to the code and compiles. `make mutants` runs the suite on each.
func TestEveryMutantCanBePutIntoTheProduct(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			arguments := []string{"build", "-overlay", m.overlay(t)}
			for _, e := range m.edits {
				arguments = append(arguments, "./"+filepath.Dir(e.file))
			}
			build := exec.CommandContext(t.Context(), "go", arguments...)
			build.Dir = ".."
			if output, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", build, err, output)
			}
		})
	}
}

// overlay writes the changed files and returns a file for `go build -overlay` that replaces the originals.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	texts := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(root, e.file)
		if _, ok := texts[path]; !ok {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(text)
		}
		if n := strings.Count(texts[path], e.old); n != 1 {
			t.Fatalf("%s has the code to break %d times, want once: %s", e.file, n, e.old)
		}
		texts[path] = strings.Replace(texts[path], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, root), "/", "_"))
		if err := os.WriteFile(replace[path], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
