package pipeline

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/alarm"
)

func TestEachRaiseHasALineUntilTheyComeTooFast(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := newAlarmLog(slog.New(slog.NewTextHandler(&out, nil)))
	now := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	lines := func(text string) int { return strings.Count(out.String(), text) }
	transition := func(kind alarm.Kind, subject string) alarm.Transition {
		return alarm.Transition{Kind: kind, Subject: subject, Condition: "rate_high", Priority: alarm.High, Measure: alarm.Measure{Value: 192, Limit: 180}}
	}

	log.announce([]alarm.Transition{transition(alarm.Raised, "CUST_00001"), transition(alarm.Cleared, "CUST_00002"), transition(alarm.Reopened, "CUST_00003")}, now)
	if lines(`msg="alarm raised"`) != 2 || lines("subject=CUST_00001 condition=rate_high priority=high value=192 limit=180") != 1 || lines("CUST_00002") != 0 {
		t.Errorf("a raise, an end and a reopening are logged as:\n%s", out.String())
	}

	out.Reset()
	var burst []alarm.Transition
	for range 100 {
		burst = append(burst, transition(alarm.Raised, "CUST_00004"))
	}
	log.announce(burst, now)
	if got, want := lines(`msg="alarm raised"`), alarmBurst-2; got != want {
		t.Errorf("a burst of 100 has %d lines, want %d", got, want)
	}
	if lines("more alarms raised") != 0 {
		t.Error("the summary comes before its time")
	}
	log.announce(nil, now.Add(summaryEvery))
	if lines(`msg="more alarms raised than can be read one by one" high=92 medium=0 low=0`) != 1 {
		t.Errorf("no summary of the 92 alarms without a line:\n%s", out.String())
	}
}
