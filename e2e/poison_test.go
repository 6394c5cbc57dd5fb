package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	poison     = flag.Int("poison", 100_000, "how many bad records among good ones in a round; the oracle keeps them in memory")
	poisonSeed = flag.Uint64("poison-seed", 1, "seed of the first round's bad records")
)

// Each of many bad records among good ones becomes one dead letter with the right reason, or is stored with the right class;
// its neighbours are stored, and nothing stops.
func TestPoisonAmongGood(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5")
	var seeds atomic.Uint64 // rounds may run at the same time
	seeds.Store(*poisonSeed - 1)
	runRounds(t, "poison among good records", func(t *testing.T) *fixture {
		f := newFixture(t)
		seed := seeds.Add(1)
		t.Logf("seed %d", seed)
		f.allowLargeRecords()
		f.poison(seed, *poison)
		f.drain()
		wantEveryKind(t, f.audit())
		return f.withFaultsOf(poisonRecord, *poison)
	})
}

// poison sends so many bad records among half as many good ones.
func (f *fixture) poison(seed uint64, count int) {
	f.t.Helper()
	generator := &poisonGenerator{random: rand.New(rand.NewPCG(seed, 2)), now: time.Now().Truncate(time.Millisecond)}
	generator.cases = boundaryCases(generator.now)
	const portion = 50_000
	for generator.poisoned < count {
		var cases []boundaryCase
		for len(cases) < portion && generator.poisoned < count {
			cases = append(cases, boundaryCase{value: generator.next()})
		}
		f.sendCases(cases, generator.now)
	}
}

// wantEveryKind checks that the topic held every class and every reason.
func wantEveryKind(t testing.TB, read topicContents) {
	t.Helper()
	kinds := map[string]int{}
	for _, what := range read.records {
		kinds[what.Class+what.Reason]++
	}
	for _, want := range []string{
		"NORMAL", "BRADYCARDIA", "TACHYCARDIA", "INVALID", "empty", "too_large", "bad_utf8", "not_json", "not_object",
		"duplicate_field", "missing_field", "wrong_type", "bad_customer_id", "bad_timestamp", "timestamp_out_of_range",
	} {
		if kinds[want] == 0 {
			t.Errorf("no record was %s: the generator misses it", want)
		}
	}
	t.Logf("%v", kinds)
}

// A record that the database refuses for an unexpected reason is found among thousands and becomes the only dead letter;
// all others are stored.
func TestRecordRefusedByTheDatabase(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P5")
	runRounds(t, "records that the database refuses", func(t *testing.T) *fixture {
		f := newFixture(t)
		if _, err := f.pool.Exec(t.Context(), `ALTER TABLE heartbeat_records ADD CONSTRAINT a_test_refuses CHECK (customer_id <> 'CUST_00666')`); err != nil {
			t.Fatal(err)
		}
		now := time.Now().Truncate(time.Millisecond)
		var cases []boundaryCase
		for i := range 6_000 {
			customer := fmt.Sprintf("CUST_%05d", 1+i%600)
			if i == 1_234 || i == 1_237 || i == 5_999 {
				customer = "CUST_00666"
			}
			cases = append(cases, boundaryCase{value: event(customer, "75", formatTimestamp(now))})
		}
		f.sendCases(cases, now)
		f.drain()
		read := readTopic(t, f.broker, f.topic, f.topic, 0)
		for id, what := range read.records {
			if what.Customer == "CUST_00666" {
				text := read.events[id]
				read.records[id] = storedRecord{outcome: outcome{Reason: "rejected_by_database"}, Length: int64(len(text)), Digest: sha256.Sum256([]byte(text))}
				read.keys[id] = sha256.Sum256([]byte("CUST_00042"))
			}
		}
		f.auditAgainst(read)
		return f.withFaults(3)
	})
}

// sendCases produces values in order, over three partitions, with the same Kafka timestamp.
func (f *fixture) sendCases(cases []boundaryCase, at time.Time) {
	f.t.Helper()
	records := make([]*kgo.Record, len(cases))
	for i, c := range cases {
		records[i] = &kgo.Record{Partition: int32(i % 3), Timestamp: at, Key: []byte("CUST_00042"), Value: c.value}
	}
	f.send(records)
}

// allowLargeRecords raises the topic's limit above the broker's default.
func (f *fixture) allowLargeRecords() {
	f.t.Helper()
	size := "4194304"
	admin := kadm.NewClient(client(f.t, f.broker))
	reply, err := admin.AlterTopicConfigs(f.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &size}}, f.topic)
	if err != nil || len(reply) != 1 || reply[0].Err != nil {
		f.t.Fatalf("allow large records: %v, %v", err, reply)
	}
}

// poisonGenerator makes records: a third are good; of the others most are boundary cases and the rest mutations of good ones.
type poisonGenerator struct {
	random   *rand.Rand
	now      time.Time
	cases    []boundaryCase
	poisoned int // records so far that are not good
}

func (b *poisonGenerator) next() []byte {
	if b.random.IntN(3) == 0 {
		return b.good()
	}
	b.poisoned++
	switch {
	case b.poisoned%20_000 == 7:
		return bytes.Repeat([]byte{byte(b.random.Uint32())}, 2<<20)
	case b.poisoned%20_000 == 11:
		return append(b.good(), bytes.Repeat([]byte(" "), 700<<10)...)
	case b.random.IntN(3) > 0:
		// Large ones are rare: they would dominate the topic's size.
		if c := b.cases[b.random.IntN(len(b.cases))]; len(c.value) < 4_000 || b.random.IntN(100) == 0 {
			return c.value
		}
	}
	return b.mutated()
}

func (b *poisonGenerator) good() []byte {
	at := b.now.Add(-time.Duration(b.random.Int64N(int64(time.Hour))))
	return event(fmt.Sprintf("CUST_%05d", 1+b.random.IntN(10_000)), fmt.Sprint(b.random.IntN(330)-5), formatTimestamp(at))
}

// mutated returns a good record with one to three faults.
func (b *poisonGenerator) mutated() []byte {
	text := b.good()
	for range 1 + b.random.IntN(3) {
		at := b.random.IntN(len(text) + 1)
		end := min(len(text), at+b.random.IntN(8))
		switch b.random.IntN(6) {
		case 0:
			text = append(text[:at:at], text[end:]...)
		case 1:
			text = append(text[:at:at], append([]byte{byte(b.random.Uint32())}, text[at:]...)...)
		case 2:
			text = append(text[:at:at], append(bytes.Clone(text[at:end]), text[at:]...)...)
		case 3:
			text = append(text[:at:at], append([]byte(brokenTokens[b.random.IntN(len(brokenTokens))]), text[end:]...)...)
		case 4:
			text = []byte(strings.Replace(string(text), fields[b.random.IntN(3)], fields[b.random.IntN(3)], 1))
		case 5:
			text = text[:at]
		}
		if len(text) == 0 {
			return text
		}
	}
	return text
}

var fields = [...]string{"customer_id", "heart_rate", "timestamp"}

// brokenTokens are pieces that break JSON, UTF-8, numbers, ids or times.
var brokenTokens = [...]string{
	`"`, `\`, `\u0000`, `\ud800`, `\udc00`, `\ud83d\ude00`, "\xff", "\xed\xa0\x80", "\x00", "\ufeff", "{", "}", "[", "]", ",", ":", "null", "true", "false",
	"NaN", "Infinity", "-0", "1e999", "-1e999", "99999", "180.9", "39.9", "0.5", "e", ".", "-", "00", "Z", "+25:00", "T25:00", "-02-30T", "9999-", "0001-", "1999-",
	"CUST_", "cust_", "CUST_1", "０", "'; --", `"a":1,"a":2,`, `{"a":{"a":1,"a":1}}`, " ", "\n", "\t",
}
