package ingestapi

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"heartbeat/internal/httpserver"
)

const (
	maxKey = 128 // bytes of an Idempotency-Key
	// keyTime is how long a key is remembered with its body: as long as the consumer drops what is repeated.
	keyTime = time.Hour
	maxKeys = 100_000
)

// keys are the requests with an Idempotency-Key that this process has seen. That a retry is stored once does not depend on them:
// they find a client's mistakes.
type keys struct {
	mu    sync.Mutex // guards both below
	seen  map[keyName]*keyEntry
	order []keyName // the oldest first
}

type keyName struct{ device, key string }

type keyEntry struct {
	body     [sha256.Size]byte
	at       time.Time
	underWay bool
}

func newKeys() *keys { return &keys{seen: map[keyName]*keyEntry{}} }

// begin enters a request. The returned function ends it.
func (k *keys) begin(name keyName, text []byte, now time.Time) (end func(), err error) {
	sum := sha256.Sum256(text)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(now)
	entry, known := k.seen[name]
	switch {
	case known && entry.body != sum:
		return nil, httpserver.NewProblem(httpserver.KeyReused, "another body was sent with this Idempotency-Key within an hour: use a new key for new readings")
	case known && entry.underWay:
		return nil, httpserver.NewProblem(httpserver.KeyUnderWay, "a request with this Idempotency-Key is under way: wait for its answer, or send it again later").RetryAfter(retryAfter)
	case !known:
		entry = &keyEntry{body: sum, at: now}
		k.seen[name] = entry
		k.order = append(k.order, name)
	}
	entry.underWay = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		entry.underWay = false
	}, nil
}

// drop forgets old keys, and the oldest of too many.
func (k *keys) drop(now time.Time) {
	for len(k.order) > 0 {
		oldest := k.seen[k.order[0]]
		if len(k.order) < maxKeys && now.Sub(oldest.at) < keyTime || oldest.underWay {
			return
		}
		delete(k.seen, k.order[0])
		k.order = k.order[1:]
	}
}

// keyOf returns the Idempotency-Key of a request, empty where it has none.
func keyOf(header http.Header) (string, error) {
	values := header.Values("Idempotency-Key")
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || values[0] == "":
		return "", httpserver.NewProblem(httpserver.BadRequest, "the Idempotency-Key is empty or given twice: send one, or none")
	}
	return values[0], checkKey(values[0])
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return httpserver.NewProblem(httpserver.BadRequest, "the Idempotency-Key has %d bytes, want at most %d", len(key), maxKey)
	}
	for i := range len(key) {
		if key[i] < '!' || key[i] > '~' {
			return httpserver.NewProblem(httpserver.BadRequest, "the Idempotency-Key has other characters than printable ASCII without blanks")
		}
	}
	return nil
}
