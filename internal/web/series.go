package web

import (
	"time"

	"heartbeat/internal/readmodel"
)

// series keeps the largest lag of each step for a bounded time.
type series struct {
	step   time.Duration
	points []readmodel.Lag
	limit  int
}

func newSeries(step time.Duration, limit int) series { return series{step: step, limit: limit} }

func (s *series) add(point readmodel.Lag) {
	point.At = point.At.Truncate(s.step)
	if n := len(s.points); n > 0 && !s.points[n-1].At.Before(point.At) {
		s.points[n-1].Offsets = max(s.points[n-1].Offsets, point.Offsets)
		return
	}
	if len(s.points) >= 2*s.limit { // moved rarely, so that adding stays cheap
		s.points = append(s.points[:0], s.points[s.limit:]...)
	}
	s.points = append(s.points, point)
}

// since returns the points from a time on in steps at least as long as step.
func (s *series) since(from time.Time, step time.Duration) []readmodel.Lag {
	coarse := newSeries(max(step, s.step), s.limit)
	for _, point := range s.points[max(0, len(s.points)-s.limit):] {
		if !point.At.Before(from) {
			coarse.add(point)
		}
	}
	return coarse.points
}

// join puts what consumers wrote down before what the console saw itself, which is finer and goes on without a consumer.
func join(written, seen []readmodel.Lag) []readmodel.Lag {
	joined := []readmodel.Lag{}
	for _, point := range written {
		if len(seen) == 0 || point.At.Before(seen[0].At) {
			joined = append(joined, point)
		}
	}
	return append(joined, seen...)
}

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
func (r *rates) compare(progress []readmodel.Progress, ends map[int32]int64, now time.Time) []PartitionStatus {
	type place struct {
		topic     string
		partition int32
	}
	newest := map[place]int{}
	for i, p := range progress {
		newest[place{p.Topic, p.Partition}] = i
	}
	all := make([]PartitionStatus, len(progress))
	for i, p := range progress {
		status := PartitionStatus{Progress: p, Current: newest[place{p.Topic, p.Partition}] == i}
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
