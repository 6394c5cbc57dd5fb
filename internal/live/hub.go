package live

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"heartbeat/internal/heartbeat"
)

// Options are the limits of a Hub. The zero value of each field stands for its default.
type Options struct {
	Tick         time.Duration // time between frames, 250 ms
	MaxCustomers int           // memory is about 50 bytes each, 4,194,304
	Alerts       int           // alerts kept for viewers that come back, 4,096
	AlertBatch   int           // alerts in one update, 256
}

const (
	defaultTick         = 250 * time.Millisecond
	defaultMaxCustomers = 4 << 20
	defaultAlerts       = 4096
	defaultAlertBatch   = 256

	rateWindow = 5 * time.Second
)

// Hub holds the newest value per customer and the newest alerts.
type Hub struct {
	options Options

	mu        sync.RWMutex // guards everything below
	pages     []*page
	allocated int // pages in use, at most MaxCustomers/pageSize
	dirty     []heartbeat.CustomerID
	silent    map[heartbeat.CustomerID]time.Time
	ring      ring
	frame     *Frame
	counts    Counts
	observed  uint64
	untracked uint64
	rates     meter
	timeline  timeline
	ticked    chan struct{} // closed and replaced at each tick, never sent on

	catchUp catchUpFrames
}

// New returns an empty Hub.
func New(options Options) *Hub {
	options.Tick = cmp.Or(options.Tick, defaultTick)
	options.MaxCustomers = cmp.Or(options.MaxCustomers, defaultMaxCustomers)
	options.Alerts = cmp.Or(options.Alerts, defaultAlerts)
	options.AlertBatch = cmp.Or(options.AlertBatch, defaultAlertBatch)
	return &Hub{
		options: options,
		ring:    ring{alerts: make([]Alert, options.Alerts)},
		frame:   &Frame{From: 1, To: 1, At: time.Now()},
		rates:   newMeter(int(rateWindow / options.Tick)),
		ticked:  make(chan struct{}),
	}
}

// Tick returns the time between frames.
func (h *Hub) Tick() time.Duration { return h.options.Tick }

// Run ticks until the context ends.
func (h *Hub) Run(ctx context.Context) error {
	ticker := time.NewTicker(h.options.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-ticker.C:
			h.tick(now)
		}
	}
}

// Restore puts in what was known before the start: the newest reading of each customer and the newest alerts, oldest
// first. It counts as nothing observed.
func (h *Hub) Restore(readings []heartbeat.Reading, alerts []heartbeat.Reading) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, reading := range readings {
		h.put(reading)
	}
	for _, reading := range alerts {
		h.raise(reading)
	}
}

// SetSilent takes over who is silent, and since when: what the consumers have decided and stored. A reading does not end a silence
// here: it is not stored yet.
func (h *Hub) SetSilent(silent map[heartbeat.CustomerID]time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.silent {
		if _, still := silent[id]; !still {
			h.setSilent(id, false, time.Time{})
		}
	}
	for id, since := range silent {
		if _, before := h.silent[id]; !before {
			h.setSilent(id, true, since)
		}
	}
	h.silent = silent
}

func (h *Hub) setSilent(id heartbeat.CustomerID, silent bool, since time.Time) {
	page := h.page(id)
	if page == nil {
		return
	}
	c := &page.cells[id%pageSize]
	before := c.state()
	c.silent = silent
	if c.time == 0 {
		return // its value follows
	}
	if c.since = c.time; silent {
		c.since = since.UnixMicro()
	}
	h.touch(page, c, id, before)
}

// Observe takes readings in the order in which they arrived. It never waits for a viewer.
func (h *Hub) Observe(readings []heartbeat.Reading) {
	h.mu.Lock()
	now := time.Now().UnixMicro()
	defer h.mu.Unlock()
	h.observed += uint64(len(readings))
	for _, reading := range readings {
		h.put(reading)
		h.timeline.add(reading, now)
		if reading.Class.Anomaly() {
			h.raise(reading)
		}
	}
}

// ObserveLate takes readings that arrived too late to be live, such as an upload of stored ones: each may be the latest that is known
// of its customer, and none raises an alert.
func (h *Hub) ObserveLate(readings []heartbeat.Reading) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observed += uint64(len(readings))
	for _, reading := range readings {
		h.put(reading)
	}
}

// Next waits until there is a frame that the cursor has not seen, and returns what changed since.
func (h *Hub) Next(ctx context.Context, cursor Cursor) (Update, error) {
	for {
		h.mu.RLock()
		if h.frame.To > cursor.Frame {
			defer h.mu.RUnlock()
			return h.update(cursor), nil
		}
		ticked := h.ticked
		h.mu.RUnlock()
		select {
		case <-ctx.Done():
			return Update{}, ctx.Err()
		case <-ticked:
		}
	}
}

// Snapshot returns every customer seen so far, as of the last tick or later.
func (h *Hub) Snapshot() *Frame {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.since(0)
}

// Latest returns the frame of the last tick.
func (h *Hub) Latest() *Frame {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.frame
}

// Lookup returns the newest value of one customer.
func (h *Hub) Lookup(id heartbeat.CustomerID) (Change, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if n := int(id >> pageBits); n < len(h.pages) && h.pages[n] != nil {
		if c := &h.pages[n].cells[id%pageSize]; c.time != 0 {
			return c.change(id, 0), true
		}
	}
	return Change{}, false
}

// Alerts returns the newest alerts, oldest first, at most limit.
func (h *Hub) Alerts(limit int) []Alert {
	h.mu.RLock()
	defer h.mu.RUnlock()
	alerts, _ := h.ring.after(0, limit)
	return alerts
}

// Seconds returns the last seconds from a time on, at most fifteen minutes of them, oldest first.
func (h *Hub) Seconds(from time.Time) []Second {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.timeline.since(from.Unix(), time.Now().Unix())
}

func (h *Hub) update(cursor Cursor) Update {
	frame := h.frame
	if cursor.Frame != frame.From {
		frame = h.catchUp.get(cursor.Frame, frame.To, h.since)
	}
	alerts, missed := h.ring.after(cursor.Alert, h.options.AlertBatch)
	return Update{Frame: frame, Alerts: alerts, Missed: missed, Cursor: Cursor{Frame: frame.To, Alert: h.ring.last}}
}

// since makes a frame of every cell that changed after a frame. What changed after the last tick is in it too, and
// comes once more with the next one.
func (h *Hub) since(after uint64) *Frame {
	frame := *h.frame
	frame.From, frame.Changes = after, nil
	for n, page := range h.pages {
		if page == nil || page.frame <= after {
			continue
		}
		for i := range page.cells {
			if c := &page.cells[i]; c.frame > after {
				frame.Changes = append(frame.Changes, c.change(heartbeat.CustomerID(n<<pageBits+i), after))
			}
		}
	}
	return &frame
}

// put takes a reading into its cell.
func (h *Hub) put(reading heartbeat.Reading) {
	page := h.page(reading.Customer)
	if page == nil {
		h.untracked++
		return
	}
	c := &page.cells[reading.Customer%pageSize]
	before := c.state()
	if c.take(reading) {
		h.touch(page, c, reading.Customer, before)
	}
}

// touch marks a cell as changed in the coming frame.
func (h *Hub) touch(page *page, c *cell, id heartbeat.CustomerID, before State) {
	coming := h.frame.To + 1
	if c.frame != coming {
		h.dirty = append(h.dirty, id)
	}
	c.frame, page.frame = coming, coming
	if after := c.state(); after != before {
		c.stateChanged = coming
		if before != Never {
			h.counts[before]--
		}
		h.counts[after]++
	}
}

func (h *Hub) raise(reading heartbeat.Reading) {
	h.ring.add(Alert{Customer: reading.Customer, Class: reading.Class, BPM: reading.BPM, Time: reading.Time})
}

// page returns the page of a customer, or nil when MaxCustomers is reached.
func (h *Hub) page(id heartbeat.CustomerID) *page {
	n := int(id >> pageBits)
	if n >= len(h.pages) {
		h.pages = append(h.pages, make([]*page, n+1-len(h.pages))...)
	}
	if h.pages[n] == nil && h.allocated < max(h.options.MaxCustomers>>pageBits, 1) {
		h.pages[n] = new(page)
		h.allocated++
	}
	return h.pages[n]
}

// tick closes the coming frame and wakes the viewers.
func (h *Hub) tick(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frame = &Frame{
		From:      h.frame.To,
		To:        h.frame.To + 1,
		At:        now,
		Changes:   h.collect(),
		Counts:    h.counts,
		Observed:  h.observed,
		Untracked: h.untracked,
		Rate:      h.rates.mark(now, h.observed),
	}
	close(h.ticked)
	h.ticked = make(chan struct{})
}

func (h *Hub) collect() []Change {
	slices.Sort(h.dirty)
	changes := make([]Change, len(h.dirty))
	for i, id := range h.dirty {
		changes[i] = h.pages[id>>pageBits].cells[id%pageSize].change(id, h.frame.To)
	}
	h.dirty = h.dirty[:0]
	return changes
}
