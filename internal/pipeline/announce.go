package pipeline

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	// bannersPerWindow is how many banners a person can take in; the rest of a window is summed up in one line.
	bannersPerWindow = 2
	bannerWindow     = time.Second
	bannerRule       = "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"
)

// announcer writes the alert banner of stored anomalies.
type announcer struct {
	logger *slog.Logger

	mu      sync.Mutex // guards all below, and the order of the lines
	opened  time.Time  // the current window
	banners int        // shown in it
	held    [heartbeat.Invalid + 1]int64
}

// announce shows the anomalies among readings; numbers are how many of each class came before them.
func (a *announcer) announce(readings []Reading, numbers [heartbeat.Invalid + 1]int64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.opened) >= bannerWindow {
		a.summarise()
		a.opened, a.banners = now, 0
	}
	for i := range readings {
		if reading := &readings[i]; reading.Class.Anomaly() {
			numbers[reading.Class]++
			a.show(reading, numbers[reading.Class])
		}
	}
}

func (a *announcer) show(reading *Reading, number int64) {
	if a.banners == bannersPerWindow {
		a.held[reading.Class]++
		return
	}
	a.banners++
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
