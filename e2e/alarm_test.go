package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

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
			if point == "" { // with everything stored: the next consumer steps the log from the snapshots on
				consumer := start(t, command)
				f.caughtUp(waitTimeout)
				f.killConsumer(consumer)
				continue
			}
			command.binary, command.environment = path, append(command.environment, "HEARTBEAT_CRASH_POINT="+point)
			start(t, command).wait(waitTimeout)
		}
		f.send(people.next(10 * time.Minute))
		f.drain(crashingMember...)
		f.audit()
		if f.result.Alarms < 100 {
			t.Errorf("%d alarms, want 100 at least: the readings do not test them", f.result.Alarms)
		}
		return f.withFaultsOf(consumerKill, len(points))
	})
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
