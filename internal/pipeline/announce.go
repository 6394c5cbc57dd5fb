package pipeline

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"heartbeat/internal/heartbeat"
)

const (
	// A person can take in a few banners at once and then one now and again; the rest is summed up in a line.
	bannerBurst  = 5
	bannerEvery  = 3 * time.Second
	summaryEvery = 5 * time.Second
	bannerRule   = "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"
)

// announcer writes the alert banner of stored anomalies.
type announcer struct {
	logger *slog.Logger
	budget *rate.Limiter // of banners

	mu         sync.Mutex // guards all below, and the order of the lines
	summarised time.Time
	held       [heartbeat.Invalid + 1]int64 // not shown as banners since then
}

func newAnnouncer(logger *slog.Logger) *announcer {
	return &announcer{logger: logger, budget: rate.NewLimiter(rate.Every(bannerEvery), bannerBurst)}
}

// announce shows the anomalies among readings; numbers are how many of each class came before them.
func (a *announcer) announce(readings []Reading, numbers [heartbeat.Invalid + 1]int64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.summarised) >= summaryEvery {
		a.summarise()
		a.summarised = now
	}
	for i := range readings {
		if reading := &readings[i]; reading.Class.Anomaly() {
			numbers[reading.Class]++
			if a.budget.AllowN(now, 1) {
				a.show(reading, numbers[reading.Class])
			} else {
				a.held[reading.Class]++
			}
		}
	}
}

func (a *announcer) show(reading *Reading, number int64) {
	for _, line := range [...]string{
		bannerRule,
		"*** ANOMALY ALERT ***",
		"  Severity:   " + severity(reading.Class),
		"  Customer:   " + reading.Customer.String(),
		fmt.Sprintf("  Heart rate: %d bpm", reading.BPM),
		fmt.Sprintf("  %s alert number %d since start-up", reading.Class, number),
		bannerRule,
	} {
		a.logger.Warn(line)
	}
}

func (a *announcer) summarise() {
	var parts []string
	var sum int64
	for _, class := range heartbeat.AnomalyClasses {
		if a.held[class] > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", class, a.held[class]))
			sum += a.held[class]
		}
		a.held[class] = 0
	}
	if sum > 0 {
		a.logger.Warn(fmt.Sprintf("*** %d MORE ANOMALY ALERTS *** %s (all stored; shown in sum because they come faster than they can be read)",
			sum, strings.Join(parts, " ")))
	}
}

func severity(class heartbeat.Class) string {
	switch class {
	case heartbeat.Bradycardia:
		return "LOW — heart rate dangerously slow"
	case heartbeat.Tachycardia:
		return "HIGH — heart rate dangerously fast"
	default:
		return "SENSOR ERROR — value outside physiological range"
	}
}
