package alarmfeed

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/backoff"
)

const (
	pollEvery   = 250 * time.Millisecond
	pollTimeout = 5 * time.Second
	// restFactor is the pause after a poll, as a multiple of its duration: a slow database is asked less often.
	restFactor = 9
	// maxOpen bounds memory and the first event of a viewer. Of more open alarms the worst are shown.
	maxOpen = 20_000
	// maxChanges is how many changes are kept for viewers that are behind.
	maxChanges = 64
	// changeSize is how many alarms one change carries at most, so that a viewer applies it within a frame.
	changeSize = 1000
)

// Store reads alarms.
type Store interface {
	OpenVersions(ctx context.Context, limit int) (versions map[alarm.ID]int64, total int, err error)
	Alarms(ctx context.Context, ids []alarm.ID) ([]alarm.Alarm, error)
}

// Feed is the list of open alarms with its latest changes.
type Feed struct {
	store Store
	log   *slog.Logger
	broke bool // the last poll failed; of Run's goroutine

	mu       sync.RWMutex // guards everything below
	open     map[alarm.ID]entry
	total    int
	sequence uint64   // number of the latest change; 0 before the first poll
	changes  [][]byte // the latest, oldest first; the last one has number sequence
	whole    []byte   // the list as an event, nil until somebody asks for it
}

// entry is an open alarm as it goes to viewers.
type entry struct {
	version int64
	text    []byte
}

// New returns a Feed that knows nothing until Run is called.
func New(store Store, logger *slog.Logger) *Feed {
	return &Feed{store: store, log: logger, open: map[alarm.ID]entry{}}
}

// Run polls until the context ends. While the store does not answer the list stays as it was.
func (f *Feed) Run(ctx context.Context) error {
	backoff.Repeat(ctx, pollEvery, restFactor, func() {
		if err := f.poll(ctx); ctx.Err() == nil {
			f.report(err)
		}
	})
	return ctx.Err()
}

// report logs the first of several failures, and their end.
func (f *Feed) report(err error) {
	switch {
	case err != nil && !f.broke:
		f.log.Warn("open alarms not read, trying again", "cause", err)
	case err == nil && f.broke:
		f.log.Info("open alarms are read again")
	}
	f.broke = err != nil
}

func (f *Feed) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	versions, total, err := f.store.OpenVersions(ctx, maxOpen)
	if err != nil {
		return err
	}
	changed, closed := f.compare(versions)
	var alarms []alarm.Alarm
	if len(changed) > 0 {
		if alarms, err = f.store.Alarms(ctx, changed); err != nil {
			return err
		}
	}
	return f.apply(alarms, closed, total)
}

// compare returns the alarms that are new or have another version, and those that are no longer open.
func (f *Feed) compare(versions map[alarm.ID]int64) (changed, closed []alarm.ID) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for id, version := range versions {
		if held, known := f.open[id]; !known || held.version != version {
			changed = append(changed, id)
		}
	}
	for id := range f.open {
		if _, still := versions[id]; !still {
			closed = append(closed, id)
		}
	}
	return changed, closed
}

// apply takes over what changed. An alarm that closed between the two questions to the store counts as closed.
func (f *Feed) apply(alarms []alarm.Alarm, closed []alarm.ID, total int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var texts [][]byte
	for i := range alarms {
		held := &alarms[i]
		if !held.Open() {
			if _, known := f.open[held.ID]; known {
				closed = append(closed, held.ID)
			}
			continue
		}
		text, err := encodeAlarm(held)
		if err != nil {
			return fmt.Errorf("encode alarm %s: %w", held.ID, err)
		}
		f.open[held.ID] = entry{held.Version, text}
		texts = append(texts, text)
	}
	for _, id := range closed {
		delete(f.open, id)
	}
	if len(texts) == 0 && len(closed) == 0 && total == f.total && f.sequence > 0 {
		return nil
	}
	f.total, f.whole = total, nil
	for {
		n := min(len(texts), changeSize)
		f.sequence++
		f.changes = append(f.changes, encodeChange(change{sequence: f.sequence, total: total, open: texts[:n], closed: closed}))
		texts, closed = texts[n:], nil
		if len(texts) == 0 {
			break
		}
	}
	f.changes = slices.Clone(f.changes[max(0, len(f.changes)-maxChanges):]) // Since hands out parts of the old slice
	return nil
}

// Since returns the events after a number, oldest first, and the number of the latest. A viewer that knows nothing, which is
// number 0, or is too far behind gets the whole list. The events are shared and must not be modified.
func (f *Feed) Since(number uint64) (events [][]byte, latest uint64) {
	f.mu.RLock()
	behind := f.sequence - number
	if behind == 0 || (number > 0 && behind <= uint64(len(f.changes))) {
		defer f.mu.RUnlock()
		return f.changes[uint64(len(f.changes))-behind:], f.sequence
	}
	f.mu.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whole == nil {
		texts := make([][]byte, 0, len(f.open))
		for _, held := range f.open {
			texts = append(texts, held.text)
		}
		f.whole = encodeChange(change{sequence: f.sequence, reset: true, total: f.total, open: texts})
	}
	return [][]byte{f.whole}, f.sequence
}
