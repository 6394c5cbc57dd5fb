package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A consumer that is killed in the middle of delays, while alarms are active, and between the commit of a transition and all
// that follows, raises and clears the alarms of a run without kills, with the same ids, once each.
func TestAlarmsAreThoseOfARunWithoutKills(t *testing.T) {
	t.Parallel()
	path, err := crashBinary()
	if err != nil {
		t.Fatal(err)
	}
	proves(t, "P11")
	runRounds(t, "consumer killed in the middle of alarms", func(t *testing.T) *fixture {
		f := newFixture(t)
		people := newPatients(50)
		points := []string{"", "after-commit@1", "before-commit@2", "", "after-insert@1", "after-commit@3", "commit-sent@2", ""}
		for _, point := range points {
			f.send(people.next(150_000 * time.Millisecond))
			command := command{arguments: f.consumeArguments(crashingMember...), environment: []string{"DATABASE_URL=" + f.database}}
			if point == "" { // with everybody's state stored, some in the middle of a delay: only the next consumer's claim restores it
				consumer := start(t, command)
				f.caughtUp(waitTimeout)
				f.statesStored()
				f.killConsumer(consumer)
				continue
			}
			command.binary, command.environment = path, append(command.environment, "HEARTBEAT_CRASH_POINT="+point)
			start(t, command).wait(waitTimeout)
		}
		f.send(people.next(10 * time.Minute))
		f.drain(crashingMember...)
		f.audit()
		f.verify("--replay")
		if f.result.Alarms < 100 {
			t.Errorf("%d alarms, want 100 at least: the readings do not test them", f.result.Alarms)
		}
		f.wantReplayToFindAMissingEvent()
		return f.withFaultsOf(consumerKill, len(points))
	})
}

// statesStored waits until no customer's state needs a replay of the log.
func (f *fixture) statesStored() {
	f.t.Helper()
	await(f.t, waitTimeout, func() string {
		if n := value[int64](f.t, f.pool, `SELECT count(*) FROM ingest_progress WHERE state_from < next_offset`); n > 0 {
			return fmt.Sprintf("%d partitions lack states", n)
		}
		return ""
	})
}

// wantReplayToFindAMissingEvent takes the last transition back from the tables, so that they agree with each other and with the
// readings: only the log knows better.
func (f *fixture) wantReplayToFindAMissingEvent() {
	t := f.t
	t.Helper()
	if _, err := f.pool.Exec(t.Context(), `
ALTER TABLE alarm_events DISABLE TRIGGER USER;
ALTER TABLE alarms DISABLE TRIGGER USER;
DELETE FROM alarms WHERE alarm_id = (SELECT alarm_id FROM alarms WHERE version = 1 AND condition NOT IN ('silent', 'outage', 'lag') ORDER BY kafka_offset DESC LIMIT 1);
DELETE FROM alarm_events WHERE alarm_id NOT IN (SELECT alarm_id FROM alarms)`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	role := start(t, command{
		arguments: []string{"verify", "--replay", "--brokers", f.broker, "--topic", f.topic}, environment: []string{"DATABASE_URL=" + f.database},
	})
	if code := role.wait(waitTimeout); code != 1 || role.outputCount("which is not stored") != 1 {
		t.Errorf("heartbeat verify --replay ended with code %d, want 1 and the missing transition:\n%s", code, tail(role.output.String(), 30))
	}
}

// patients are customers with a reading each five seconds whose heart rate goes beyond the limits and back, again and again,
// each at its own time. Kafka timestamps are the readings' own, so an hour takes no time.
type patients struct {
	random *rand.Rand
	at     time.Time
	rates  []int
}

func newPatients(count int) *patients {
	return &patients{
		random: rand.New(rand.NewPCG(1, 14)), at: time.Now().Add(-2 * time.Hour).Truncate(time.Second), rates: slices.Repeat([]int{75}, count),
	}
}

// next returns the records of a stretch of time.
func (p *patients) next(stretch time.Duration) (records []*kgo.Record) {
	for end := p.at.Add(stretch); p.at.Before(end); p.at = p.at.Add(5 * time.Second) {
		for i := range p.rates {
			if p.random.IntN(25) == 0 { // each two minutes
				p.rates[i] = []int{75, 75, 195, 205, 33, 28, 0}[p.random.IntN(7)]
			}
			rate := p.rates[i] + p.random.IntN(5)
			if p.rates[i] == 0 {
				rate = 0 // a sensor fault
			}
			customer := fmt.Sprintf("CUST_%05d", i)
			at := p.at.Add(time.Duration(i) * time.Millisecond)
			records = append(records, &kgo.Record{
				Partition: int32(i % 3), Timestamp: at, Key: []byte(customer), Value: event(customer, fmt.Sprint(rate), formatTimestamp(at)),
			})
		}
	}
	return records
}
