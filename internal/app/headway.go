package app

import (
	"fmt"
	"sync"
	"time"

	"heartbeat/internal/pipeline"
)

// headway tells a partition that is merely behind from one that stands still: records wait, and for a while none of them
// has been stored. A worker may believe that it runs and yet get nothing from the broker.
type headway struct {
	mu    sync.Mutex // guards marks
	marks map[int32]mark
}

// mark is when a partition was last seen to get on, or to have nothing to do.
type mark struct {
	next   int64
	behind int64
	since  time.Time
}

func newHeadway() *headway { return &headway{marks: map[int32]mark{}} }

// observe compares what this process has stored of its partitions with where they end.
func (h *headway) observe(now time.Time, owned map[int32]pipeline.Status, ends map[int32]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for number := range h.marks {
		if _, ok := owned[number]; !ok {
			delete(h.marks, number)
		}
	}
	for number, status := range owned {
		last, known := h.marks[number]
		behind := max(ends[number]-status.Next, 0)
		if !known || behind == 0 || status.Next != last.next {
			last.since = now
		}
		h.marks[number] = mark{next: status.Next, behind: behind, since: last.since}
	}
}

// check names a partition that stands still.
func (h *headway) check(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for number, mark := range h.marks {
		if mark.behind > 0 && now.Sub(mark.since) > stalledAfter {
			return fmt.Errorf("partition %d stands still at offset %d since %s: %d records wait",
				number, mark.next, mark.since.UTC().Format(time.RFC3339), mark.behind)
		}
	}
	return nil
}
