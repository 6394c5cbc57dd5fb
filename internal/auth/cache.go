package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"heartbeat/internal/users"
)

const (
	cacheTime  = 2 * time.Second // a change of a user or a session takes effect within this time and that of a lookup
	staleTime  = 5 * time.Minute // how long the last result counts while the Store does not answer
	lookupTime = 2 * time.Second
	maxCached  = 4096
	maxLookups = 2 // at a time: unknown cookies must not take every connection of the pool
)

// cache keeps results of lookups for a short time, unknown keys included.
type cache[K comparable, V any] struct {
	lookups chan struct{} // one element for each lookup under way

	mu      sync.Mutex // guards entries
	entries map[K]cached[V]
}

type cached[V any] struct {
	value V
	found bool
	at    time.Time
}

func newCache[K comparable, V any]() *cache[K, V] {
	return &cache[K, V]{lookups: make(chan struct{}, maxLookups), entries: map[K]cached[V]{}}
}

// get returns the value of a key, or users.ErrNotFound.
func (c *cache[K, V]) get(ctx context.Context, key K, look func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	entry, known := c.entries[key]
	c.mu.Unlock()
	if known && time.Since(entry.at) < cacheTime {
		return entry.result()
	}
	value, err := c.look(ctx, look)
	switch {
	case err == nil, errors.Is(err, users.ErrNotFound):
		c.put(key, cached[V]{value: value, found: err == nil, at: time.Now()})
		return value, err
	case known && time.Since(entry.at) < staleTime:
		return entry.result()
	}
	return value, err
}

func (c *cache[K, V]) look(ctx context.Context, look func(context.Context) (V, error)) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	select {
	case c.lookups <- struct{}{}:
		defer func() { <-c.lookups }()
		return look(ctx)
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

func (e cached[V]) result() (V, error) {
	if !e.found {
		return e.value, users.ErrNotFound
	}
	return e.value, nil
}

func (c *cache[K, V]) put(key K, entry cached[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCached {
		for key, entry := range c.entries {
			if !entry.found || time.Since(entry.at) > staleTime {
				delete(c.entries, key)
			}
		}
	}
	if len(c.entries) >= maxCached {
		clear(c.entries)
	}
	c.entries[key] = entry
}

func (c *cache[K, V]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}
