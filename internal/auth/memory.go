package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

// memorySessions are sessions of the token that begin while the Store cannot keep them. They end with the process.
type memorySessions struct {
	mu   sync.Mutex // guards open
	open map[users.SessionHash]time.Time
}

const maxMemorySessions = 1000

func newMemorySessions() *memorySessions {
	return &memorySessions{open: map[users.SessionHash]time.Time{}}
}

// begin opens a session. The oldest gives way when there are too many.
func (m *memorySessions) begin(session users.SessionHash, ends time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.open) >= maxMemorySessions {
		var oldest users.SessionHash
		var first time.Time
		for key, ends := range m.open {
			if first.IsZero() || ends.Before(first) {
				oldest, first = key, ends
			}
		}
		delete(m.open, oldest)
	}
	m.open[session] = ends
}

func (m *memorySessions) ends(session users.SessionHash) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ends, known := m.open[session]
	return ends, known && time.Now().Before(ends)
}

func (m *memorySessions) end(session users.SessionHash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, session)
}

const (
	nameBurst  = 10
	nameEvery  = 2 * time.Second
	nameMemory = 4096 // names at a time; beyond, those with no recent failure are forgotten
)

// nameLimit limits wrong passwords by user name, for guesses that come from many addresses.
type nameLimit struct {
	mu     sync.Mutex // guards byName
	byName map[string]*rate.Limiter
	others *rate.Limiter // all names beyond nameMemory
}

func newNameLimit() *nameLimit {
	return &nameLimit{byName: map[string]*rate.Limiter{}, others: rate.NewLimiter(rate.Every(nameEvery), nameBurst)}
}

func (n *nameLimit) limiter(name string) *rate.Limiter {
	n.mu.Lock()
	defer n.mu.Unlock()
	if limiter, known := n.byName[name]; known {
		return limiter
	}
	if len(n.byName) >= nameMemory {
		for name, limiter := range n.byName {
			if limiter.Tokens() >= nameBurst {
				delete(n.byName, name)
			}
		}
	}
	if len(n.byName) >= nameMemory {
		return n.others
	}
	n.byName[name] = rate.NewLimiter(rate.Every(nameEvery), nameBurst)
	return n.byName[name]
}

// check refuses a name with too many wrong passwords.
func (n *nameLimit) check(name string) error {
	if n.limiter(name).Tokens() < 1 {
		return httpserver.NewProblem(httpserver.TooManyRequests, "too many wrong passwords for this name: wait a few seconds").RetryAfter(5 * time.Second)
	}
	return nil
}

func (n *nameLimit) add(name string) { n.limiter(name).Allow() }
