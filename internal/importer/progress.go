package importer

import (
	"sync"
	"sync/atomic"
	"time"
)

// Progress is how far the present step of an import has come.
type Progress struct {
	Step     string
	Done     int64 // bytes while reading, else readings
	Total    int64 // 0: not known
	Bytes    bool
	Readings int64 // found so far
	Elapsed  time.Duration
}

// Remaining estimates how long the step goes on at its pace, 0 where that is not known.
func (p *Progress) Remaining() time.Duration {
	if p.Done == 0 || p.Total <= p.Done {
		return 0
	}
	return time.Duration(float64(p.Elapsed) * float64(p.Total-p.Done) / float64(p.Done))
}

// meter is written by the import and read by the reporter.
type meter struct {
	done, readings atomic.Int64
	total          int64 // of bytes, before the reporter starts

	mu      sync.Mutex // guards all below
	present Progress
	began   time.Time
}

const reportEvery = time.Second

// step begins a step.
func (m *meter) step(name string, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done.Store(0)
	m.present = Progress{Step: name, Total: total, Bytes: name == "reading"}
	m.began = time.Now()
}

func (m *meter) snapshot() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.present
	now.Done, now.Readings, now.Elapsed = m.done.Load(), m.readings.Load(), time.Since(m.began)
	return now
}

// report reports until stop is called.
func (r *run) report() (stop func()) {
	if r.options.Progress == nil {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.options.Progress(r.snapshot())
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}
