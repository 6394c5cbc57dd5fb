package web

import (
	"time"

	"heartbeat/internal/facts"
)

// Point is the lag and the rate of storing at one moment.
type Point struct {
	At     time.Time `json:"at"`
	Lag    int64     `json:"lag"`
	Stored float64   `json:"stored_per_second"`
}

// series keeps the worst point of each step for a bounded time.
type series struct {
	step   time.Duration
	points []Point
	limit  int
}

func newSeries(step time.Duration, limit int) series { return series{step: step, limit: limit} }

func (s *series) add(point Point) {
	at := point.At
	point.At = at.Truncate(s.step)
	if n := len(s.points); n > 0 && !s.points[n-1].At.Before(point.At) {
		last := &s.points[n-1]
		last.Lag, last.Stored = max(last.Lag, point.Lag), max(last.Stored, point.Stored)
		return
	}
	if len(s.points) >= 2*s.limit { // moved rarely, so that adding stays cheap
		s.points = append(s.points[:0], s.points[s.limit:]...)
	}
	s.points = append(s.points, point)
}

func (s *series) since(from time.Time) []Point {
	points := []Point{}
	for _, point := range s.points[max(0, len(s.points)-s.limit):] {
		if !point.At.Before(from) {
			points = append(points, point)
		}
	}
	return points
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
func (r *rates) compare(progress []facts.Progress, ends map[int32]int64, now time.Time) []PartitionStatus {
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

func (r *rates) rate(p facts.Progress, now time.Time) *float64 {
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
