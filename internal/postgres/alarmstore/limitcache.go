package alarmstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/backoff"
	"heartbeat/internal/detect"
	"heartbeat/internal/postgres"
)

const (
	// limitPoll is how often a LimitCache looks for changes.
	limitPoll = time.Second
	// maxLimitAge is the age at which limits must be read again before they are used. It is less than LimitDelay, so a change
	// is known before the first reading that it concerns, also while the database cannot be reached.
	maxLimitAge = 4 * time.Second
)

// LimitCache keeps the detector's limits in memory. Any number of goroutines may use it while Run runs.
type LimitCache struct {
	store    *Store
	defaults detect.Limits

	current atomic.Pointer[cachedLimits]
	mu      sync.Mutex // held while reading
}

type cachedLimits struct {
	history *detect.LimitHistory
	mark    Mark
	at      time.Time // when reading began
}

// NewLimitCache returns an empty cache on a pool, with the limits that hold where people have set none.
func NewLimitCache(pool *pgxpool.Pool, defaults detect.Limits) *LimitCache {
	return &LimitCache{store: New(pool), defaults: defaults}
}

// Run looks for changes until the context ends. A failure is left to Current, which must not use limits that are too old.
func (c *LimitCache) Run(ctx context.Context) {
	backoff.Every(ctx, limitPoll, func() { _, _ = c.refresh(ctx, limitPoll/2) })
}

// Current returns the limits, read less than LimitDelay ago. Its error is classed by pipeline.KindOf.
func (c *LimitCache) Current(ctx context.Context) (*detect.LimitHistory, error) {
	if held := c.current.Load(); held != nil && time.Since(held.at) < maxLimitAge {
		return held.history, nil
	}
	held, err := c.refresh(ctx, maxLimitAge)
	if err != nil {
		return nil, postgres.Classify(ctx, "read limits", err)
	}
	return held.history, nil
}

// refresh reads the limits, unless another has read them less than an age ago.
func (c *LimitCache) refresh(ctx context.Context, age time.Duration) (*cachedLimits, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held, now := c.current.Load(), time.Now()
	if held != nil && now.Sub(held.at) < age {
		return held, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*limitPoll)
	defer cancel()
	if held != nil {
		mark, err := c.store.LimitMark(ctx)
		if err != nil {
			return nil, err
		}
		if mark == held.mark {
			fresh := &cachedLimits{held.history, mark, now}
			c.current.Store(fresh)
			return fresh, nil
		}
	}
	limits, members, mark, err := c.store.LimitHistory(ctx)
	if err != nil {
		return nil, err
	}
	history, err := detect.NewLimitHistory(c.defaults, limits, members)
	if err != nil {
		return nil, fmt.Errorf("use stored limits: %w", err)
	}
	fresh := &cachedLimits{history, mark, now}
	c.current.Store(fresh)
	return fresh, nil
}
