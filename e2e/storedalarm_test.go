package e2e_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
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

// A dry run of the limits in force gives the stored alarms, though the consumer was killed and people have limits of their own.
func TestDryRunAfterKillsGivesTheStoredAlarms(t *testing.T) {
	t.Parallel()
	proves(t, "P11")
	f := newFixture(t)
	for _, limit := range [][]string{{"--fleet", "--high", "120"}, {"--cohort", "athletes", "--high", "100"}, {"--customer", "CUST_00007", "--high", "100"}} {
		f.run(append([]string{"limits", "set", "--reason", "test"}, limit...)...)
	}
	for _, customer := range []string{"CUST_00001", "CUST_00002", "CUST_00003", "CUST_00004", "CUST_00005", "CUST_00006"} {
		f.run("limits", "cohort", customer, "athletes")
	}
	const kills, between = 3, 15_000
	home, from := t.TempDir(), time.Now()
	producer := f.produce("--model", "physiological", "--customers", "2000", "--rate", "1000", "--seed", "5", "--episodes", "tachycardia=5,bradycardia=5")
	for range kills {
		consumer := f.consumeIn(home)
		f.storedMore(between)
		f.killConsumer(consumer)
	}
	producer.interrupt()
	f.drain()
	f.verify("--replay")
	type alarms struct {
		RateHigh  int `json:"rate_high"`
		RateLow   int `json:"rate_low"`
		BadSignal int `json:"bad_signal"`
	}
	var result struct {
		Readings      int64
		Now, Proposed alarms
		Differences   int64
	}
	try := func(limits string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "limits.json")
		if err := os.WriteFile(file, []byte(limits), 0o600); err != nil {
			t.Fatal(err)
		}
		output := f.run("limits", "try", file, "--json", "--brokers", f.broker, "--topic", f.topic, "--from", from.UTC().Format(time.RFC3339))
		if start := strings.Index(output, "{\n"); start < 0 || json.NewDecoder(strings.NewReader(output[start:])).Decode(&result) != nil {
			t.Fatalf("heartbeat limits try does not answer with JSON:\n%s", output)
		}
	}
	openings := func(condition string) int {
		return value[int](t, f.pool, `
SELECT count(*) FROM alarm_events JOIN alarms USING (alarm_id)
 WHERE kind IN ('raised', 'recurred', 'reopened') AND condition = $1`, condition)
	}
	stored := alarms{openings("rate_high"), openings("rate_low"), openings("bad_signal")}
	try(`[]`)
	if result.Now != stored || result.Proposed != stored || result.Differences != 0 || result.Readings < kills*between {
		t.Errorf("the dry run gives %+v, stored are %+v", result, stored)
	}
	try(`[{"scope": "fleet", "high": 180}, {"scope": "cohort", "cohort": "athletes", "high": 180}]`)
	if result.Now != stored || result.Proposed.RateHigh >= stored.RateHigh {
		t.Errorf("the default limits give %+v, stored are %+v: limits are tested by nothing", result, stored)
	}
}
