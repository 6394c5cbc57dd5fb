package e2e_test

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"
	"time"
)

var (
	monitoredKills    = flag.Int("monitored-kills", 5, "how often to kill the consumer of simulated people")
	monitoredReadings = flag.Int64("monitored-readings", 15_000, "readings that are stored between two such kills, of 2,000 a second")
)

// The alarms of 10,000 simulated people whose consumer is killed again and again are those of the detector alone, and their truth
// says what they are worth.
func TestStoredAlarmsAreThoseOfTheDetectorAlone(t *testing.T) {
	t.Parallel()
	proves(t, "P11")
	runRounds(t, "consumer of simulated people killed, alarms judged by their truth", func(t *testing.T) *fixture {
		f := newFixture(t)
		truth, home := f.topic+"-truth", t.TempDir()
		from := time.Now()
		producer := f.produce("--model", "physiological", "--customers", "10000", "--rate", "2000", "--seed", "5", "--truth", "kafka:"+truth,
			"--episodes", "tachycardia=2,bradycardia=2")
		for range *monitoredKills {
			consumer := f.consumeIn(home)
			f.storedMore(*monitoredReadings)
			f.killConsumer(consumer)
		}
		producer.interrupt()
		f.drain()
		f.audit()
		output := f.run("evaluate", "--stored", "--json", "--brokers", f.broker, "--topic", f.topic, "--truth-topic", truth,
			"--from", from.UTC().Format(time.RFC3339), "--to", time.Now().UTC().Format(time.RFC3339))
		var result struct {
			Equal     bool
			Readings  int64
			Customers int
			Episodes  int
		}
		if start := strings.Index(output, "{\n"); start < 0 || json.NewDecoder(strings.NewReader(output[start:])).Decode(&result) != nil || !result.Equal {
			t.Fatalf("heartbeat evaluate --stored does not find the alarms equal:\n%s", output)
		}
		if result.Readings < int64(*monitoredKills)**monitoredReadings || result.Customers < 9_900 || result.Episodes < 100 || f.result.Alarms < 50 {
			t.Errorf("%d readings of %d customers with %d episodes and %d alarms test nothing", result.Readings, result.Customers, result.Episodes, f.result.Alarms)
		}
		return f.withFaultsOf(consumerKill, *monitoredKills)
	})
}
