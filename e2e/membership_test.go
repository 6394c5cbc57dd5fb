package e2e_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var rebalanceFor = flag.Duration("rebalance", 2*time.Minute, "how long members come and go")

// Members come and go every few seconds, in good order and killed, named and nameless: every event is stored once, each
// customer's in their order.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P3, P7")
	repeat(t, "members come and go", func(t *testing.T) *rig {
		r := newRig(t)
		producer := r.produce("--rate", "2000", "--seed", "50")
		crew := []*role{r.consume()}
		until := time.Now().Add(*rebalanceFor)
		changes := 0
		for time.Now().Before(until) {
			switch changes % 6 {
			case 0, 3:
				crew = append(crew, r.consume(), r.consume("--instance-id", fmt.Sprintf("member-%d", changes)))
			case 1, 4:
				crew[0].interrupt()
				crew = crew[1:]
			case 2:
				crew[0].kill()
				crew = crew[1:]
			case 5: // a rolling restart, leaving one
				for len(crew) > 1 {
					crew[0].interrupt()
					crew = crew[1:]
				}
			}
			changes++
			r.storedMore(4_000)
		}
		producer.interrupt()
		r.caughtUp(patience)
		for _, member := range crew {
			member.interrupt()
		}
		claims := value[int64](t, r.pool, `SELECT sum(fence)::bigint FROM ingest_progress`)
		if claims < 3+int64(changes)/2 { // who leaves may have had no partition
			t.Errorf("partitions were claimed %d times in %d changes: members did not really come and go", claims, changes)
		}
		read := r.audit()
		auditSending(t, read)
		r.wantLatestStates(read)
		t.Logf("%d changes, %d claims, %d events", changes, claims, len(read.facts))
		return r.saw(changes)
	})
}

// wantLatestStates wants what is kept of each customer to be the latest of the customer's readings (P7).
func (r *rig) wantLatestStates(read contents) {
	r.t.Helper()
	want := map[string]string{}
	latest := map[string]place{}
	for _, at := range read.order() {
		what := read.facts[at]
		if what.Class == "" {
			continue
		}
		before, known := latest[what.Customer]
		if !known || what.Micros > read.facts[before].Micros || what.Micros == read.facts[before].Micros && at.Offset > before.Offset {
			latest[what.Customer] = at
			want[what.Customer] = fmt.Sprintf("%d bpm, %s, at %d, from %v", what.BPM, what.Class, what.Micros, at)
		}
	}
	have := map[string]string{}
	d := differences{t: r.t, what: "P7, the state of a customer is that of the latest reading"}
	for _, line := range texts(r.t, r.pool, `
SELECT customer_id || '|' || heart_rate || ' bpm, ' || class || ', at ' || (extract(epoch FROM event_timestamp) * 1000000)::bigint ||
       ', from ' || kafka_topic || '/' || kafka_partition || '@' || kafka_offset
  FROM customer_state`) {
		customer, state, _ := strings.Cut(line, "|")
		have[customer] = state
	}
	for customer, state := range want {
		if have[customer] != state {
			d.add("%s is kept with %q, want %q", customer, have[customer], state)
		}
	}
	d.report()
}
