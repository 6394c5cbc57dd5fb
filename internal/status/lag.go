package status

import (
	"time"

	"heartbeat/internal/readmodel"
)

// lagSeries keeps the largest lag of each step for a bounded time.
type lagSeries struct {
	step   time.Duration
	points []readmodel.Lag
	limit  int
}

func newLagSeries(step time.Duration, limit int) lagSeries {
	return lagSeries{step: step, limit: limit}
}

func (s *lagSeries) add(point readmodel.Lag) {
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
func (s *lagSeries) since(from time.Time, step time.Duration) []readmodel.Lag {
	coarse := newLagSeries(max(step, s.step), s.limit)
	for _, point := range s.points[max(0, len(s.points)-s.limit):] {
		if !point.At.Before(from) {
			coarse.add(point)
		}
	}
	return coarse.points
}

// MergeLag puts the lag that consumers stored before the lag that this process saw, which is finer and continues without a consumer.
func MergeLag(written, seen []readmodel.Lag) []readmodel.Lag {
	joined := []readmodel.Lag{}
	for _, point := range written {
		if len(seen) == 0 || point.At.Before(seen[0].At) {
			joined = append(joined, point)
		}
	}
	return append(joined, seen...)
}
