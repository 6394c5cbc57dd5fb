package ingestapi

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"heartbeat/internal/device"
	"heartbeat/internal/httpserver"
)

const (
	// personRate is the default of a device that sends for one customer: far beyond any wearable's.
	personRate = 100
	// burst is what a device may send at once: a whole request, such as the readings of hours without a network.
	burst = maxReadings
)

// rates limits how many readings a second each device sends.
type rates struct {
	mu      sync.Mutex // guards limits
	limits  map[string]*rate.Limiter
	dropped time.Time
}

func newRates() *rates { return &rates{limits: map[string]*rate.Limiter{}} }

// allow counts readings of a device, at least one for a request, or says when the same request will be allowed.
func (r *rates) allow(one *device.Device, readings int, now time.Time) error {
	limiter := r.limiter(one, now)
	if limiter == nil {
		return nil
	}
	reservation := limiter.ReserveN(now, max(readings, 1))
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reservation.CancelAt(now)
	seconds := time.Duration(math.Ceil(wait.Seconds())) * time.Second
	return httpserver.NewProblem(httpserver.TooManyRequests, "this device sends more than %g readings a second: send the same request again after %s",
		float64(limiter.Limit()), seconds).RetryAfter(seconds)
}

func (r *rates) limiter(one *device.Device, now time.Time) *rate.Limiter {
	limit := rate.Limit(one.Rate)
	switch {
	case one.Rate > 0:
	case one.Scope == device.ForCustomer:
		limit = personRate
	default:
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.dropped) > time.Hour { // of revoked devices; a limit that starts over allows one burst more
		clear(r.limits)
		r.dropped = now
	}
	limiter, known := r.limits[one.Name]
	if !known {
		limiter = rate.NewLimiter(limit, burst)
		r.limits[one.Name] = limiter
	}
	if limiter.Limit() != limit {
		limiter.SetLimitAt(now, limit)
	}
	return limiter
}
