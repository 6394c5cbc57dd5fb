package httpserver

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	failureBurst     = 10
	failureEvery     = time.Second
	failureAddresses = 4096             // remembered at a time; those beyond share one limit
	failureForgotten = 10 * time.Minute // without another failure
	failureLogEvery  = 10 * time.Second // for each address
)

// Failures limits wrong credentials by client address and logs them, without the credentials. It counts no right ones.
type Failures struct {
	logger *slog.Logger
	lines  *rate.Limiter // of log lines over all addresses

	mu        sync.Mutex // guards both below
	byAddress map[netip.Prefix]*failures
	others    failures
}

// failures are those of one address.
type failures struct {
	limiter *rate.Limiter
	last    time.Time
	logged  time.Time
	count   int // since the last log line
}

// NewFailures returns a limit without failures.
func NewFailures(logger *slog.Logger) *Failures {
	return &Failures{
		logger: logger, lines: rate.NewLimiter(1, failureBurst),
		byAddress: map[netip.Prefix]*failures{}, others: failures{limiter: newFailureLimiter()},
	}
}

func newFailureLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Every(failureEvery), failureBurst)
}

// Add counts a wrong credential. It returns a problem for the response once the address has had too many of them.
func (f *Failures) Add(r *http.Request, credential string) error {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.entry(addressOf(r), now)
	entry.last = now
	entry.count++
	if now.Sub(entry.logged) >= failureLogEvery && f.lines.AllowN(now, 1) {
		f.logger.Warn("wrong credential refused", "credential", credential, "remote", remoteHost(r), "failures", entry.count)
		entry.logged, entry.count = now, 0
	}
	if !entry.limiter.AllowN(now, 1) {
		return NewProblem(TooManyRequests, "too many wrong credentials from this address: wait a few seconds").RetryAfter(5 * time.Second)
	}
	return nil
}

// Check returns the problem that Add would return, and counts nothing. It is for credentials that are costly to check.
func (f *Failures) Check(r *http.Request) error {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.entry(addressOf(r), now).limiter.TokensAt(now) < 1 {
		return NewProblem(TooManyRequests, "too many wrong credentials from this address: wait a few seconds").RetryAfter(5 * time.Second)
	}
	return nil
}

func (f *Failures) entry(address netip.Prefix, now time.Time) *failures {
	if entry, known := f.byAddress[address]; known {
		return entry
	}
	if len(f.byAddress) >= failureAddresses {
		for address, entry := range f.byAddress {
			if now.Sub(entry.last) > failureForgotten {
				delete(f.byAddress, address)
			}
		}
	}
	if len(f.byAddress) >= failureAddresses {
		return &f.others
	}
	entry := &failures{limiter: newFailureLimiter(), last: now}
	f.byAddress[address] = entry
	return entry
}

func remoteHost(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// addressOf returns the client's address; of IPv6 the /64 network, which one client may use at will. It trusts no header.
func addressOf(r *http.Request) netip.Prefix {
	address, err := netip.ParseAddr(remoteHost(r))
	if err != nil {
		return netip.Prefix{}
	}
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits) // the length fits
	return prefix
}
