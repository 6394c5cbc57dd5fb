package status

import (
	"time"

	"heartbeat/internal/readmodel"
)

type partitionKey struct {
	log       string
	partition int32
}

type progressMark struct {
	at   time.Time
	next int64
	rate float64
	ok   bool
}

// rates compares the progress of partitions with what it was.
type rates struct {
	partitions map[partitionKey]*progressMark
}

// smoothing weighs the newest second of a rate.
const smoothing = 0.3

// compare puts the broker's ends and the speed beside the progress, whose rows are in order of topic, incarnation
// and partition: the last row of a partition is of the log in use.
func (r *rates) compare(progress []readmodel.Progress, ends map[int32]int64, now time.Time) []Partition {
	newest := map[partitionKey]int{}
	for i, p := range progress {
		newest[partitionKey{p.Topic, p.Partition}] = i
	}
	all := make([]Partition, len(progress))
	for i, p := range progress {
		status := Partition{Progress: p, Current: newest[partitionKey{p.Topic, p.Partition}] == i}
		if end, known := ends[p.Partition]; known && status.Current {
			lag := max(end-p.Next, 0)
			status.End, status.Lag = &end, &lag
		}
		if status.Current {
			status.Rate = r.rate(p, now)
		}
		all[i] = status
	}
	return all
}

func (r *rates) rate(p readmodel.Progress, now time.Time) *float64 {
	key := partitionKey{p.Log, p.Partition}
	mark, known := r.partitions[key]
	if !known {
		r.partitions[key] = &progressMark{at: now, next: p.Next}
		return nil
	}
	elapsed := now.Sub(mark.at).Seconds()
	if elapsed <= 0 {
		return &mark.rate
	}
	current := float64(p.Next-mark.next) / elapsed
	if mark.ok {
		current = mark.rate + smoothing*(current-mark.rate)
	}
	*mark = progressMark{at: now, next: p.Next, rate: current, ok: true}
	return &current
}
