package alarm_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// after is noon and some minutes.
func after(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

// life is an alarm to which events happen.
type life struct {
	t *testing.T
	alarm.Alarm
	events []alarm.Event
}

func begin(t *testing.T, priority alarm.Priority) *life {
	l := &life{t: t}
	l.must(alarm.Event{Kind: alarm.Raised, At: noon, Since: after(-0.25), Priority: priority, Measure: alarm.Measure{Value: 195, Peak: 195, Limit: 180}})
	return l
}

// fold completes an event and folds it.
func (l *life) fold(e alarm.Event) (alarm.Alarm, error) {
	e.Version = l.Version + 1
	if !e.Kind.ByOperator() {
		e.Position = &alarm.Position{Log: "log", Offset: e.Version}
	}
	if e.Kind == alarm.Raised {
		e.Alarm, e.Subject, e.Condition = uuid.UUID{15: 1}, "CUST_00042", alarm.RateHigh
	}
	next, err := alarm.Fold(l.Alarm, e)
	if err == nil {
		l.events = append(l.events, e)
	}
	return next, err
}

func (l *life) must(e alarm.Event) {
	l.t.Helper()
	next, err := l.fold(e)
	if err != nil {
		l.t.Fatalf("%s: %v", e.Kind, err)
	}
	l.Alarm = next
}

func (l *life) act(action alarm.Action, at time.Time) error {
	l.t.Helper()
	action.Actor = "anna"
	next, event, changed, err := l.Act(action, l.events, uuid.New(), at)
	if changed {
		l.Alarm, l.events = next, append(l.events, event)
	}
	return err
}

func (l *life) wantPhase(want alarm.Phase) {
	l.t.Helper()
	if got := l.Phase(); got != want {
		l.t.Errorf("the alarm is %s after %s, want %s", got, l.events[len(l.events)-1].Kind, want)
	}
}

func wantCode(t *testing.T, err error, want alarm.Code) {
	t.Helper()
	if refused, ok := errors.AsType[*alarm.Error](err); !ok || refused.Code != want {
		t.Errorf("error is %v, want one of code %s", err, want)
	}
}

func TestEndOfAConditionClosesOrLatches(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		priority     alarm.Priority
		acknowledged bool
		want         alarm.Phase
	}{
		"high and never acknowledged stays to be seen": {alarm.High, false, alarm.Latched},
		"high and acknowledged closes":                 {alarm.High, true, alarm.Ended},
		"medium closes":                                {alarm.Medium, false, alarm.Ended},
		"low closes":                                   {alarm.Low, false, alarm.Ended},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := begin(t, test.priority)
			if test.acknowledged {
				if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, after(1)); err != nil {
					t.Fatal(err)
				}
			}
			l.must(alarm.Event{Kind: alarm.Cleared, At: after(2)})
			l.wantPhase(test.want)
			if l.ClearedAt != after(2) {
				t.Errorf("cleared at %s, want 12:02", l.ClearedAt)
			}
		})
	}
}

func TestAcknowledgementOfALatchedAlarmClosesIt(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	l.must(alarm.Event{Kind: alarm.Cleared, At: after(1)})
	if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, after(5)); err != nil {
		t.Fatal(err)
	}
	l.wantPhase(alarm.Ended)
}

func TestAcknowledgementExpiresWhileActive(t *testing.T) {
	t.Parallel()
	for priority, want := range map[alarm.Priority]time.Duration{alarm.High: 15 * time.Minute, alarm.Medium: time.Hour, alarm.Low: 0} {
		l := begin(t, priority)
		if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, noon); err != nil {
			t.Fatal(err)
		}
		if want == 0 {
			if !l.Acknowledged(noon.AddDate(1, 0, 0)) || len(l.Due(noon.AddDate(1, 0, 0))) != 0 {
				t.Errorf("%s: the acknowledgement expires", priority)
			}
			continue
		}
		if !l.Acknowledged(noon.Add(want-time.Microsecond)) || l.Acknowledged(noon.Add(want)) {
			t.Errorf("%s: the acknowledgement does not last %s", priority, want)
		}
		if due := l.Due(noon.Add(want)); !cmp.Equal(due, []alarm.Kind{alarm.AcknowledgementExpired}) {
			t.Errorf("%s: %v are due at its end", priority, due)
		}
		l.must(alarm.Event{Kind: alarm.AcknowledgementExpired, At: noon.Add(want)})
		l.must(alarm.Event{Kind: alarm.Cleared, At: noon.Add(2 * want)})
		l.wantPhase(alarm.Ended) // it has been seen
	}
}

func TestWorseningVoidsAcknowledgementAndSnooze(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.Low)
	for _, action := range []alarm.Action{{Kind: alarm.Acknowledged}, {Kind: alarm.Snoozed, Note: "exercise", For: time.Hour}} {
		if err := l.act(action, after(1)); err != nil {
			t.Fatal(err)
		}
	}
	l.must(alarm.Event{Kind: alarm.Worsened, At: after(2), Priority: alarm.High})
	if l.Acknowledged(after(2)) || l.Snoozed(after(2)) || l.Priority != alarm.High {
		t.Errorf("after worsening: %+v", l.Alarm)
	}
	l.must(alarm.Event{Kind: alarm.Cleared, At: after(3)})
	l.wantPhase(alarm.Latched)
}

func TestEasingKeepsTheHighestPriority(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	l.must(alarm.Event{Kind: alarm.Eased, At: after(1), Priority: alarm.Low})
	if l.Priority != alarm.High || l.CurrentPriority != alarm.Low {
		t.Errorf("priority %s, currently %s; want high, currently low", l.Priority, l.CurrentPriority)
	}
}

func TestLostSignalKeepsTheAlarmActive(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	l.must(alarm.Event{Kind: alarm.Stale, At: after(3)})
	l.wantPhase(alarm.Active)
	if !l.Stale {
		t.Error("it is not marked stale")
	}
	l.must(alarm.Event{Kind: alarm.Escalated, At: after(4), Tier: 1})
	if l.Tier != 1 {
		t.Error("it does not go on escalating")
	}
	l.must(alarm.Event{Kind: alarm.Fresh, At: after(5)})
	if l.Stale {
		t.Error("it is stale although the signal is back")
	}
}

func TestReopenedAlarmIsTheSameAgain(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, after(1)); err != nil {
		t.Fatal(err)
	}
	id := l.ID
	l.must(alarm.Event{Kind: alarm.Cleared, At: after(2)})
	l.must(alarm.Event{Kind: alarm.Reopened, At: after(9), Since: after(8.75), Priority: alarm.High, Measure: alarm.Measure{Value: 190, Peak: 190}})
	l.wantPhase(alarm.Active)
	if l.ID != id || l.Recurrences != 1 || l.RaisedAt != noon || l.ActiveSince != after(9) || l.Peak != 195 || l.Value != 190 {
		t.Errorf("reopened: %+v", l.Alarm)
	}
	if l.Acknowledged(after(9)) {
		t.Error("the acknowledgement of the episode that ended lasts on: no call is sent")
	}
	l.must(alarm.Event{Kind: alarm.Cleared, At: after(10)})
	l.wantPhase(alarm.Latched) // this episode must be seen as well
}

// While it is open, a recurrence leaves the acknowledgement alone.
func TestRecurrenceKeepsTheAcknowledgement(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, after(1)); err != nil {
		t.Fatal(err)
	}
	l.must(alarm.Event{Kind: alarm.Recurred, At: after(2), Priority: alarm.High})
	if !l.Acknowledged(after(15)) || l.Acknowledged(after(16)) {
		t.Error("the acknowledgement of 12:01 does not last until 12:16")
	}
}

func TestRecurrenceOfALatchedAlarmIsCounted(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	l.must(alarm.Event{Kind: alarm.Cleared, At: after(1)})
	l.must(alarm.Event{Kind: alarm.Recurred, At: after(60), Priority: alarm.Low})
	l.wantPhase(alarm.Active)
	if l.Recurrences != 1 || l.Priority != alarm.High {
		t.Errorf("%d recurrences, priority %s; want 1, high", l.Recurrences, l.Priority)
	}
}

// ThingsBoard #13050: a constant 195, acknowledged, cannot be closed by hand.
func TestActiveAlarmCannotBeClosedByHand(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, after(1)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, l.act(alarm.Action{Kind: alarm.Closed}, after(2)), alarm.AlarmActive)
	l.wantPhase(alarm.Active)
}

func TestSnoozeIsBounded(t *testing.T) {
	t.Parallel()
	for priority, most := range map[alarm.Priority]time.Duration{alarm.High: 15 * time.Minute, alarm.Medium: 4 * time.Hour, alarm.Low: 24 * time.Hour} {
		l := begin(t, priority)
		wantCode(t, l.act(alarm.Action{Kind: alarm.Snoozed, Note: "why", For: most + time.Microsecond}, noon), alarm.SnoozeTooLong)
		wantCode(t, l.act(alarm.Action{Kind: alarm.Snoozed, For: most}, noon), alarm.ReasonRequired)
		wantCode(t, l.act(alarm.Action{Kind: alarm.Snoozed, Note: "why"}, noon), alarm.BadRequest)
		if err := l.act(alarm.Action{Kind: alarm.Snoozed, Note: "why", For: most}, noon); err != nil {
			t.Error(err)
		}
		if due := l.Due(noon.Add(most)); !cmp.Equal(due, []alarm.Kind{alarm.SnoozeEnded}) {
			t.Errorf("%s: %v are due at the end of the snooze", priority, due)
		}
	}
}

// Nightscout #8231: snoozed for 10 minutes, a recurrence and lost signal in between; the snooze ends at 10:00 all the same.
func TestSnoozeEndsOnTimeWhateverHappensBetween(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	if err := l.act(alarm.Action{Kind: alarm.Snoozed, Note: "moving", For: 10 * time.Minute}, noon); err != nil {
		t.Fatal(err)
	}
	l.must(alarm.Event{Kind: alarm.Cleared, At: after(2)})
	l.must(alarm.Event{Kind: alarm.Recurred, At: after(4), Priority: alarm.High})
	l.must(alarm.Event{Kind: alarm.Stale, At: after(6)})
	if len(l.Due(after(9.99))) != 0 || !l.Snoozed(after(9.99)) {
		t.Error("the snooze ended early")
	}
	if due := l.Due(after(10)); !cmp.Equal(due, []alarm.Kind{alarm.SnoozeEnded}) {
		t.Errorf("%v are due at 10:00", due)
	}
}

func TestConflictSaysWhoWasFirst(t *testing.T) {
	t.Parallel()
	l := begin(t, alarm.High)
	if err := l.act(alarm.Action{Kind: alarm.Acknowledged}, after(1)); err != nil { // by anna
		t.Fatal(err)
	}
	_, _, _, err := l.Act(alarm.Action{Kind: alarm.Acknowledged, Actor: "ben", Expected: 1}, l.events, uuid.New(), after(2))
	wantCode(t, err, alarm.VersionConflict)
	const want = "alarm 00000000-0000-0000-0000-000000000001 has changed since version 1: acknowledged by anna at 2026-03-01T12:01:00Z; look at version 2 first"
	if err == nil || err.Error() != want {
		t.Errorf("it says %q\nwant %q", err, want)
	}
	if err := l.act(alarm.Action{Kind: alarm.Acknowledged, Expected: 1}, after(2)); err != nil || l.Version != 2 {
		t.Errorf("anna repeats her own: %v, version %d; want no error and nothing new", err, l.Version)
	}
	if _, _, _, err := l.Act(alarm.Action{Kind: alarm.Commented, Actor: "ben", Note: "on my way", Expected: 1}, l.events, uuid.New(), after(2)); err != nil {
		t.Errorf("a comment conflicts: %v", err)
	}
	l.must(alarm.Event{Kind: alarm.Worsened, At: after(3), Priority: alarm.High})
	wantCode(t, l.act(alarm.Action{Kind: alarm.Acknowledged, Expected: 2}, after(4)), alarm.VersionConflict)
	wantCode(t, l.act(alarm.Action{Kind: alarm.Acknowledged, Expected: 9}, after(4)), alarm.VersionConflict)
}

func TestWhatAnOperatorMustNotDo(t *testing.T) {
	t.Parallel()
	closed := begin(t, alarm.Low)
	closed.must(alarm.Event{Kind: alarm.Cleared, At: after(1)})
	long := strings.Repeat("x", alarm.MaxText+1)
	for name, test := range map[string]struct {
		on     *life
		action alarm.Action
		want   alarm.Code
	}{
		"acknowledge a closed alarm": {closed, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, alarm.AlarmClosed},
		"snooze a closed alarm":      {closed, alarm.Action{Kind: alarm.Snoozed, Actor: "anna", Note: "x", For: time.Minute}, alarm.AlarmClosed},
		"close a closed alarm":       {closed, alarm.Action{Kind: alarm.Closed, Actor: "anna"}, alarm.AlarmClosed},
		"assign a closed alarm":      {closed, alarm.Action{Kind: alarm.Assigned, Actor: "anna", Assignee: "ben"}, alarm.AlarmClosed},
		"act on no alarm":            {&life{t: t}, alarm.Action{Kind: alarm.Acknowledged, Actor: "anna"}, alarm.NotFound},
		"act without a name":         {begin(t, alarm.Low), alarm.Action{Kind: alarm.Acknowledged, Actor: " "}, alarm.ActorRequired},
		"write too much":             {begin(t, alarm.Low), alarm.Action{Kind: alarm.Commented, Actor: "anna", Note: long}, alarm.TextTooLong},
		"write nothing":              {begin(t, alarm.Low), alarm.Action{Kind: alarm.Commented, Actor: "anna", Note: " "}, alarm.BadRequest},
		"write what is not stored":   {begin(t, alarm.Low), alarm.Action{Kind: alarm.Commented, Actor: "anna", Note: "a\x00b"}, alarm.BadRequest},
		"assign to a very long name": {begin(t, alarm.Low), alarm.Action{Kind: alarm.Assigned, Actor: "anna", Assignee: long}, alarm.TextTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, changed, err := test.on.Act(test.action, nil, uuid.New(), after(5))
			wantCode(t, err, test.want)
			if changed {
				t.Error("it changed something")
			}
		})
	}
}

func TestFoldRefusesWhatContradictsTheState(t *testing.T) {
	t.Parallel()
	active := begin(t, alarm.High)
	for _, kind := range []alarm.Kind{alarm.Raised, alarm.Reopened, alarm.AcknowledgementExpired, alarm.SnoozeEnded, "unheard_of"} {
		_, err := active.fold(alarm.Event{Kind: kind, At: after(1)})
		wantCode(t, err, alarm.ContradictsState)
	}
	_, err := alarm.Fold(active.Alarm, alarm.Event{Kind: alarm.Stale, Version: 7, At: after(1), Position: &alarm.Position{}})
	wantCode(t, err, alarm.ContradictsState) // a gap in the history
}

func TestDetectedTransitionsKeepTheirIds(t *testing.T) {
	t.Parallel()
	source := detect.Source{Log: "heartbeat-events", Partition: 2}
	raise := detect.Transition{
		Alarm: source.AlarmID(17, detect.RateLow), Condition: detect.RateLow, Kind: detect.Raise, Priority: detect.High,
		Value: 35, Peak: 33, Limit: 40, Since: detect.TimeOf(after(-1)), At: detect.TimeOf(noon), Offset: 17,
	}
	got := alarm.Detected(42, &raise)
	want := alarm.Transition{
		Alarm: alarm.ID(raise.Alarm), Subject: "CUST_00042", Condition: alarm.RateLow, Kind: alarm.Raised, Priority: alarm.High,
		At: noon, Since: after(-1), Measure: alarm.Measure{Value: 35, Peak: 33, Limit: 40}, Offset: 17,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	clear := got
	clear.Kind = alarm.Cleared
	ids := map[alarm.ID]bool{}
	for _, id := range []alarm.ID{
		got.EventID("heartbeat-events", 2), clear.EventID("heartbeat-events", 2), got.EventID("heartbeat-events", 1), got.EventID("heartbeat-events#2", 2),
	} {
		ids[id] = true
	}
	if again := got.EventID("heartbeat-events", 2); len(ids) != 4 || !ids[again] {
		t.Error("event ids are not one for each cause")
	}
}

func TestRoundsKeepTheOrderOfEachCondition(t *testing.T) {
	t.Parallel()
	var transitions []alarm.Transition
	for offset, key := range []string{"a", "b", "a", "a", "c", "b"} {
		transitions = append(transitions, alarm.Transition{Subject: key, Condition: alarm.RateHigh, Offset: int64(offset)})
	}
	var got [][]int64
	for _, round := range alarm.Rounds(transitions) {
		var offsets []int64
		for _, transition := range round {
			offsets = append(offsets, transition.Offset)
		}
		got = append(got, offsets)
	}
	if diff := cmp.Diff([][]int64{{0, 1, 4}, {2, 5}, {3}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
