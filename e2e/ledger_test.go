package e2e_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strconv"
	"testing"
	"time"
)

// entry is a line of the producer's ledger: an event that the broker has acknowledged.
type entry struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Customer  string    `json:"customer_id"`
	Rate      int64     `json:"heart_rate"`
	Time      time.Time `json:"timestamp"`
}

// readLedger reads what a producer wrote. The last line of a killed producer may be cut off.
func readLedger(t testing.TB, path string) []entry {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var entries []entry
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		var e entry
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			if scanner.Scan() {
				t.Fatalf("line %d of the ledger %s: %v", len(entries)+1, path, err)
			}
			break
		}
		entries = append(entries, e)
	}
	if err := scanner.Err(); err != nil {
		t.Fatalf("read ledger %s: %v", path, err)
	}
	return entries
}

// auditLedger wants every acknowledged event in the topic, where and as the producer was told, and none twice.
func auditLedger(t testing.TB, entries []entry, read contents, log string) {
	t.Helper()
	d := differences{t: t, what: "acknowledged events"}
	seen := map[place]bool{}
	for _, e := range entries {
		at := place{log, e.Partition, e.Offset}
		if seen[at] {
			d.add("%v acknowledged twice", at)
		}
		seen[at] = true
		class, bpm := classify(strconv.FormatInt(e.Rate, 10))
		want := verdict{Class: class, BPM: bpm, Customer: e.Customer, Micros: e.Time.UnixMicro()}
		if have, ok := read.facts[at]; !ok {
			d.add("%v lost by the topic: want %+v", at, want)
		} else if have.verdict != want {
			d.add("%v differs: the topic has %+v, acknowledged was %+v", at, have.verdict, want)
		}
	}
	d.report()
}

// auditSending wants no event twice in the topic, and each customer's events in the order of their times. That holds
// for a producer with one worker.
func auditSending(t testing.TB, read contents) {
	t.Helper()
	d := differences{t: t, what: "order and uniqueness of what was sent"}
	first := map[string]place{}
	type lane struct {
		partition int32
		customer  string
	}
	last := map[lane]int64{}
	for _, at := range read.order() {
		text := read.events[at]
		if before, ok := first[text]; ok {
			d.add("%v repeats %v: %s", at, before, text)
		}
		first[text] = at
		what := read.facts[at]
		of := lane{at.Partition, what.Customer}
		if what.Micros < last[of] {
			d.add("%v is older than an earlier event of %s in its partition", at, what.Customer)
		}
		last[of] = what.Micros
	}
	d.report()
}
