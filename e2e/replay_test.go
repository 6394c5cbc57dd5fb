package e2e_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What Kafka retains, replayed into an empty database at another time by a crashing consumer, gives the same tables.
func TestReplayGivesTheSameTables(t *testing.T) {
	t.Parallel()
	proves(t, "P10")
	repeat(t, "replay into an empty database", func(t *testing.T) *rig {
		r := newRig(t)
		now := time.Now().Truncate(time.Millisecond)
		r.produce("--max-events", "8000", "--rate", "8000", "--seed", "25").succeed(patience)
		r.sendCases(boundaryCases(now), now)
		r.drain()
		r.audit()

		again := &rig{t: t, broker: r.broker, topic: r.topic, group: r.group + "-again", database: sharedDatabase(t).create(t)}
		again.run("migrate")
		again.pool = connect(t, again.database)
		consumer := again.consume()
		again.storedMore(1)
		consumer.kill()
		again.drain()
		again.audit()

		first, second := readTables(t, r.pool), readTables(t, again.pool)
		if !maps.Equal(first.facts, second.facts) || !maps.Equal(first.alerts, second.alerts) {
			t.Errorf("the tables differ after a replay: %d and %d rows, %d and %d alerts", len(first.facts), len(second.facts), len(first.alerts), len(second.alerts))
		}
		const minutes = `
SELECT concat_ws(' ', extract(epoch FROM minute), kafka_topic, kafka_partition, valid_count, bpm_sum, bpm_min, bpm_max, bradycardia_count, tachycardia_count, invalid_count)
  FROM fleet_minute
 ORDER BY 1`
		if difference := cmp.Diff(texts(t, r.pool, minutes), texts(t, again.pool, minutes)); difference != "" {
			t.Errorf("fleet_minute differs after a replay (-first +second):\n%s", difference)
		}
		return again.saw(1)
	})
}
