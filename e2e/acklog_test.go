package e2e_test

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// ackedEvent is a line of the producer's acknowledgement log: an event that the broker has acknowledged.
type ackedEvent struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Customer  string    `json:"customer_id"`
	Rate      int64     `json:"heart_rate"`
	Time      time.Time `json:"timestamp"`
}

// readAckLog reads what a producer wrote. The last line of a killed producer may be cut off.
func readAckLog(t testing.TB, path string) []ackedEvent {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var entries []ackedEvent
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		var event ackedEvent
		if err := json.Unmarshal(scanner.Bytes(), &event); err != nil {
			if scanner.Scan() {
				t.Fatalf("line %d of the acknowledgement log %s: %v", len(entries)+1, path, err)
			}
			break
		}
		entries = append(entries, event)
	}
	if err := scanner.Err(); err != nil {
		t.Fatalf("read acknowledgement log %s: %v", path, err)
	}
	return entries
}

// auditAckLog checks that the topic holds every acknowledged event once, at the offset and with the values that were
// acknowledged, and marks those records as acknowledged.
func auditAckLog(t testing.TB, entries []ackedEvent, read topicContents, log string) {
	t.Helper()
	d := differences{t: t, what: "acknowledged events"}
	seen := map[recordID]bool{}
	for _, event := range entries {
		id := recordID{log, event.Partition, event.Offset}
		if seen[id] {
			d.add("%v acknowledged twice", id)
		}
		seen[id] = true
		read.acked[id] = true
		class, bpm := classify(strconv.FormatInt(event.Rate, 10))
		want := outcome{Class: class, BPM: bpm, Customer: event.Customer, Micros: event.Time.UnixMicro()}
		if have, ok := read.records[id]; !ok {
			d.add("%v lost by the topic: want %+v", id, want)
		} else if have.outcome != want {
			d.add("%v differs: the topic has %+v, acknowledged was %+v", id, have.outcome, want)
		}
	}
	d.report()
}

// auditSending checks that the topic holds no event twice, and each customer's events in the order of their times. That
// holds for a producer with one worker.
func auditSending(t testing.TB, read topicContents) {
	t.Helper()
	d := differences{t: t, what: "order and uniqueness of what was sent"}
	for _, pair := range writtenTwice(read) {
		d.add("%v repeats %v: %s", pair[1], pair[0], read.events[pair[1]])
	}
	type partitionCustomer struct {
		partition int32
		customer  string
	}
	last := map[partitionCustomer]int64{}
	for _, id := range read.ids() {
		what := read.records[id]
		of := partitionCustomer{id.Partition, what.Customer}
		if what.Micros < last[of] {
			d.add("%v is older than an earlier event of %s in its partition", id, what.Customer)
		}
		last[of] = what.Micros
	}
	d.report()
}

// writtenTwice returns the pairs of records that hold one event. Two events that are equal by chance (the same customer and
// rate drawn twice within a microsecond) are no such pair: each of them was acknowledged.
func writtenTwice(read topicContents) [][2]recordID {
	var pairs [][2]recordID
	first := map[string]recordID{}
	for _, id := range read.ids() {
		text := read.events[id]
		if before, ok := first[text]; ok && !(read.acked[before] && read.acked[id]) {
			pairs = append(pairs, [2]recordID{before, id})
		}
		first[text] = id
	}
	return pairs
}

func TestEqualEventsAreNotOneWrittenTwice(t *testing.T) {
	t.Parallel()
	a, b := recordID{"log", 0, 7}, recordID{"log", 0, 8}
	read := topicContents{
		records: map[recordID]storedRecord{a: {}, b: {}},
		events:  map[recordID]string{a: "equal", b: "equal"},
		acked:   map[recordID]bool{a: true, b: true},
	}
	if pairs := writtenTwice(read); len(pairs) != 0 {
		t.Errorf("two acknowledged events are taken for one: %v", pairs)
	}
	read.acked = map[recordID]bool{b: true}
	if pairs := writtenTwice(read); !slices.Equal(pairs, [][2]recordID{{a, b}}) {
		t.Errorf("pairs of an event that was written twice and acknowledged once: %v, want %v and %v", pairs, a, b)
	}
}
