package consumer_test

import (
	"context"
	"fmt"
	"sync"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/repeat"
)

// memoryStore is a store that keeps what was written by topic id, partition and offset, under the rules of the real one.
type memoryStore struct {
	mu        sync.Mutex
	logs      map[logKey]*storedLog
	incidents []pipeline.Incident
	twice     []string
	refused   int // writes under an old fence
	silent    []string
}

type logKey struct {
	topic     [16]byte
	partition int32
}

type storedLog struct {
	fence, next int64
	epoch       int32
	stored      map[int64]heartbeat.CustomerID
	order       []heartbeat.Reading
}

func newMemoryStore() *memoryStore { return &memoryStore{logs: map[logKey]*storedLog{}} }

func (m *memoryStore) Claim(_ context.Context, p pipeline.Partition, start int64) (pipeline.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := logKey{p.TopicID, p.Number}
	if m.logs[key] == nil {
		m.logs[key] = &storedLog{next: start, epoch: -1, stored: map[int64]heartbeat.CustomerID{}}
	}
	log := m.logs[key]
	log.fence++
	return pipeline.Claim{Partition: p, Fence: log.fence, Next: log.next, Epoch: log.epoch, StateFrom: log.next}, nil
}

func (m *memoryStore) of(c pipeline.Claim) (*storedLog, error) {
	log := m.logs[logKey{c.TopicID, c.Number}]
	if log.fence != c.Fence {
		m.refused++
		return nil, &pipeline.Fault{Kind: pipeline.Fenced, Err: fmt.Errorf("fence is %d, not %d", log.fence, c.Fence)}
	}
	return log, nil
}

func (m *memoryStore) Position(_ context.Context, c pipeline.Claim) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, err := m.of(c)
	if err != nil {
		return 0, err
	}
	return log.next, nil
}

// RepeatWindow is empty: no record of these tests carries an id.
func (m *memoryStore) RepeatWindow(context.Context, pipeline.Claim) ([]repeat.Entry, error) {
	return nil, nil
}

func (m *memoryStore) Repeated(context.Context, pipeline.Claim, int64, int64) (map[int64]bool, error) {
	return nil, nil
}

func (m *memoryStore) Write(_ context.Context, c pipeline.Claim, b *pipeline.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, err := m.of(c)
	if err != nil {
		return err
	}
	if b.From != log.next {
		return &pipeline.Fault{Kind: pipeline.Stale, Err: fmt.Errorf("next is %d, not %d", log.next, b.From)}
	}
	for _, r := range b.Readings {
		if _, ok := log.stored[r.Offset]; ok {
			m.twice = append(m.twice, fmt.Sprintf("%d/%d", c.Number, r.Offset))
		}
		log.stored[r.Offset] = r.Customer
		log.order = append(log.order, r.Reading)
	}
	for _, t := range b.Transitions {
		m.silent = append(m.silent, fmt.Sprintf("%s %s %s", t.Subject, t.Condition, t.Kind))
	}
	log.next, log.epoch = b.To, b.Epoch
	return nil
}

func (m *memoryStore) Record(_ context.Context, c pipeline.Claim, i pipeline.Incident) (pipeline.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, err := m.of(c)
	if err != nil {
		return c, err
	}
	m.incidents = append(m.incidents, i)
	log.next = i.To
	c.Next, c.StateFrom = i.To, i.To
	return c, nil
}

func (m *memoryStore) count() (stored int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, log := range m.logs {
		stored += len(log.stored)
	}
	return stored
}

func zombieFence(m *memoryStore) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, log := range m.logs {
		log.fence++
	}
}
