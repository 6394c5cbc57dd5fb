package pipeline

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"heartbeat/internal/alarm"
)

// alarmBurst and alarmEvery bound the lines of single alarms, like those of the banners.
const (
	alarmBurst = 10
	alarmEvery = time.Second
)

// alarmLog logs a line for each alarm that is raised, and a summary of those that come faster than a person can read.
type alarmLog struct {
	logger *slog.Logger
	budget *rate.Limiter

	mu         sync.Mutex // guards all below, and the order of the lines
	summarised time.Time
	held       map[alarm.Priority]int // raised without a line since then
}

func newAlarmLog(logger *slog.Logger) *alarmLog {
	return &alarmLog{
		logger: logger, budget: rate.NewLimiter(rate.Every(alarmEvery), alarmBurst), held: map[alarm.Priority]int{},
	}
}

// announce logs the alarms that a committed batch raised. A reopened alarm is raised again.
func (l *alarmLog) announce(transitions []alarm.Transition, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.summarised) >= summaryEvery {
		l.summarise()
		l.summarised = now
	}
	for i := range transitions {
		t := &transitions[i]
		switch {
		case !opens(t) && t.Kind != alarm.Worsened:
		case l.budget.AllowN(now, 1):
			l.logger.Warn("alarm raised", "kind", string(t.Kind), "subject", t.Subject, "condition", t.Condition, "priority", t.Priority.String(),
				"value", t.Value, "limit", t.Limit, "since", t.Since, "alarm", t.Alarm)
		default:
			l.held[t.Priority]++
		}
	}
}

func (l *alarmLog) summarise() {
	if len(l.held) == 0 {
		return
	}
	l.logger.Warn("more alarms raised than can be read one by one",
		"high", l.held[alarm.High], "medium", l.held[alarm.Medium], "low", l.held[alarm.Low])
	clear(l.held)
}

// opens tells whether an alarm is active after a transition and was not before.
func opens(t *alarm.Transition) bool { return t.Kind == alarm.Raised || t.Kind == alarm.Reopened }
