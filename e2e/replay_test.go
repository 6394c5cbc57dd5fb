package e2e_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Replaying the topic into an empty database at another time, with a killed consumer, gives the same tables.
func TestReplayGivesTheSameTables(t *testing.T) {
	t.Parallel()
	proves(t, "P10")
	runRounds(t, "replay into an empty database", func(t *testing.T) *fixture {
		f := newFixture(t)
		now := time.Now().Truncate(time.Millisecond)
		f.produce("--max-events", "8000", "--rate", "8000", "--seed", "25").succeed(waitTimeout)
		f.sendCases(boundaryCases(now), now)
		f.drain()
		f.audit()

		again := &fixture{t: t, broker: f.broker, topic: f.topic, group: f.group + "-again", database: sharedDatabase(t).create(t)}
		again.run("migrate")
		again.pool = connect(t, again.database)
		consumer := again.consume()
		again.storedMore(1)
		consumer.kill()
		again.drain()
		again.audit()

		first, second := readTables(t, f.pool), readTables(t, again.pool)
		if !maps.Equal(first.records, second.records) || !maps.Equal(first.alerts, second.alerts) {
			t.Errorf("the tables differ after a replay: %d and %d rows, %d and %d alerts", len(first.records), len(second.records), len(first.alerts), len(second.alerts))
		}
		const minutes = `
SELECT concat_ws(' ', extract(epoch FROM minute), kafka_topic, kafka_partition, valid_count, bpm_sum, bpm_min, bpm_max, bradycardia_count, tachycardia_count, invalid_count)
  FROM fleet_minute
 ORDER BY 1`
		if difference := cmp.Diff(texts(t, f.pool, minutes), texts(t, again.pool, minutes)); difference != "" {
			t.Errorf("fleet_minute differs after a replay (-first +second):\n%s", difference)
		}
		return again.withFaults(1)
	})
}
