package live

import "time"

// meter turns a running count into a rate over its last marks.
type meter struct {
	marks []mark
	next  int
}

type mark struct {
	at    time.Time
	count uint64
}

func newMeter(marks int) meter { return meter{marks: make([]mark, max(marks, 1))} }

// mark notes the count and returns the rate since the oldest mark it still has.
func (m *meter) mark(at time.Time, count uint64) float64 {
	oldest := m.marks[m.next]
	if oldest.at.IsZero() {
		oldest = m.marks[0]
	}
	m.marks[m.next] = mark{at, count}
	m.next = (m.next + 1) % len(m.marks)
	elapsed := at.Sub(oldest.at).Seconds()
	if oldest.at.IsZero() || elapsed <= 0 {
		return 0
	}
	return float64(count-oldest.count) / elapsed
}
