package app

import (
	"fmt"
	"sync"
	"time"

	"heartbeat/internal/pipeline"
)

// stallDetector tells a partition that is only behind from one that is stalled: records wait, and none has been stored
// for stalledAfter. A worker can report Running and yet get nothing from the broker.
type stallDetector struct {
	mu    sync.Mutex // guards marks
	marks map[int32]mark
}

// mark is when a partition last advanced or had nothing to store.
type mark struct {
	next   int64
	behind int64
	since  time.Time
}

func newStallDetector() *stallDetector { return &stallDetector{marks: map[int32]mark{}} }

// observe compares what this process has stored of its partitions with their ends.
func (d *stallDetector) observe(now time.Time, owned map[int32]pipeline.Status, ends map[int32]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for number := range d.marks {
		if _, ok := owned[number]; !ok {
			delete(d.marks, number)
		}
	}
	for number, status := range owned {
		last, known := d.marks[number]
		behind := max(ends[number]-status.Next, 0)
		if !known || behind == 0 || status.Next != last.next {
			last.since = now
		}
		d.marks[number] = mark{next: status.Next, behind: behind, since: last.since}
	}
}

// check returns an error that names a stalled partition.
func (d *stallDetector) check(now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for number, mark := range d.marks {
		if mark.behind > 0 && now.Sub(mark.since) > stalledAfter {
			return fmt.Errorf("partition %d stands still at offset %d since %s: %d records wait",
				number, mark.next, mark.since.UTC().Format(time.RFC3339), mark.behind)
		}
	}
	return nil
}
