package e2e_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var rebalanceFor = flag.Duration("rebalance", time.Minute, "how long members join and leave")

// Members join and leave every few seconds, by SIGINT and SIGKILL, with and without an instance id: every event is stored
// once, each customer's in order.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P3, P7")
	runRounds(t, "members join and leave", func(t *testing.T) *fixture {
		f := newFixture(t)
		producer := f.produce("--rate", "2000", "--seed", "50")
		members := []*role{f.consume()}
		until := time.Now().Add(*rebalanceFor)
		changes := 0
		for time.Now().Before(until) {
			switch changes % 6 {
			case 0, 3:
				members = append(members, f.consume(), f.consume("--instance-id", fmt.Sprintf("member-%d", changes)))
			case 1, 4:
				members[0].interrupt()
				members = members[1:]
			case 2:
				members[0].kill()
				members = members[1:]
			case 5: // a rolling restart, leaving one
				for len(members) > 1 {
					members[0].interrupt()
					members = members[1:]
				}
			}
			changes++
			f.storedMore(4_000)
		}
		producer.interrupt()
		f.caughtUp(waitTimeout)
		for _, member := range members {
			member.interrupt()
		}
		claims := value[int64](t, f.pool, `SELECT sum(fence)::bigint FROM ingest_progress`)
		if claims < 3+int64(changes)/2 { // a leaving member may have had no partition
			t.Errorf("partitions were claimed %d times in %d changes: too few members joined or left", claims, changes)
		}
		read := f.audit()
		auditSending(t, read)
		f.wantLatestStates(read)
		t.Logf("%d changes, %d claims, %d events", changes, claims, len(read.records))
		return f.withFaults(changes)
	})
}

// wantLatestStates checks that the state of each customer is that of the customer's latest reading (P7).
func (f *fixture) wantLatestStates(read topicContents) {
	f.t.Helper()
	want := map[string]string{}
	latest := map[string]recordID{}
	for _, id := range read.ids() {
		what := read.records[id]
		if what.Class == "" {
			continue
		}
		before, known := latest[what.Customer]
		if !known || what.Micros > read.records[before].Micros || what.Micros == read.records[before].Micros && id.Offset > before.Offset {
			latest[what.Customer] = id
			want[what.Customer] = fmt.Sprintf("%d bpm, %s, at %d, from %v", what.BPM, what.Class, what.Micros, id)
		}
	}
	have := map[string]string{}
	d := differences{t: f.t, what: "P7, the state of a customer is that of the latest reading"}
	for _, line := range texts(f.t, f.pool, `
SELECT customer_id || '|' || heart_rate || ' bpm, ' || class || ', at ' || (extract(epoch FROM event_timestamp) * 1000000)::bigint ||
       ', from ' || kafka_topic || '/' || kafka_partition || '@' || kafka_offset
  FROM customer_state`) {
		customer, state, _ := strings.Cut(line, "|")
		have[customer] = state
	}
	for customer, state := range want {
		if have[customer] != state {
			d.add("%s has the state %q, want %q", customer, have[customer], state)
		}
	}
	d.report()
}
