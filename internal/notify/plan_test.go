package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

var noon = time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)

// items numbers what waits: each alarm is a letter, each event a word after it.
func items(priority alarm.Priority, queued time.Time, texts ...string) (all []notify.Item) {
	for i, text := range texts {
		name, kind, _ := strings.Cut(text, " ")
		a := notify.Alarm{
			ID: uuid.NewSHA1(uuid.Nil, []byte(name)), Subject: name, Condition: alarm.RateHigh, Priority: priority, Open: kind != "cleared", Since: noon,
		}
		all = append(all, notify.Item{ID: int64(i + 1), QueuedAt: queued, Event: notify.Event{Alarm: a, Kind: alarm.Kind(kind), Version: int64(i + 1)}})
	}
	return all
}

// words lists messages as their types with the subjects.
func words(messages []notify.Message) string {
	var texts []string
	for _, message := range messages {
		text := string(message.Type)
		for _, entry := range message.Entries {
			text += fmt.Sprintf(" %s%v", entry.Alarm.Subject, entry.Events)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func TestMessagesWaitForOthersByPriority(t *testing.T) {
	t.Parallel()
	for priority, wait := range map[alarm.Priority]time.Duration{alarm.High: 2 * time.Second, alarm.Medium: 10 * time.Second, alarm.Low: time.Minute} {
		pending := items(priority, noon, "A raised")
		if messages := notify.Plan(notify.Sent{}, pending, noon.Add(wait-time.Nanosecond)).Messages; len(messages) != 0 {
			t.Errorf("%s: sent before %s", priority, wait)
		}
		if messages := notify.Plan(notify.Sent{}, pending, noon.Add(wait)).Messages; words(messages) != "raised A[raised]" {
			t.Errorf("%s: %q after %s", priority, words(messages), wait)
		}
	}
}

func TestEventsBecomeMessages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pending []string
		change  func(all []notify.Item)
		want    string
		done    int
	}{
		"one condition and cohort is one message": {pending: []string{"B raised", "A raised"}, want: "digest A[raised] B[raised]"},
		"cohorts are apart": {pending: []string{"A raised", "B raised"}, change: func(all []notify.Item) { all[1].Alarm.Cohort = "ward" },
			want: "raised A[raised]; raised B[raised]"},
		"joint":               {pending: []string{"A raised", "A worsened", "A cleared"}, want: "cleared A[raised worsened cleared]"},
		"order is by version": {pending: []string{"A cleared", "A raised"}, change: func(all []notify.Item) { all[0].Version = 9 }, want: "cleared A[raised cleared]"},
		"the end alone, to one who was not called": {pending: []string{"A cleared"}, done: 1},
		"the end alone, to one who was": {pending: []string{"A cleared"}, change: func(all []notify.Item) { all[0].Told = true },
			want: "cleared A[cleared]"},
		"an escalation of what is acknowledged": {pending: []string{"A escalated"}, change: func(all []notify.Item) { all[0].Alarm.Acknowledged = true }, done: 1},
		"an escalation of what is snoozed":      {pending: []string{"A escalated"}, change: func(all []notify.Item) { all[0].Alarm.Snoozed = true }, done: 1},
		"a recurrence of what is acknowledged":  {pending: []string{"A recurred"}, change: func(all []notify.Item) { all[0].Alarm.Acknowledged = true }, done: 1},
		"a recurrence":                          {pending: []string{"A recurred"}, want: "reopened A[reopened]"},
		"the end of an acknowledgement":         {pending: []string{"A acknowledgement_expired"}, want: "escalated A[escalated]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pending := items(alarm.High, noon, test.pending...)
			if test.change != nil {
				test.change(pending)
			}
			planned := notify.Plan(notify.Sent{}, pending, noon.Add(time.Minute))
			if got := words(planned.Messages); got != test.want || len(planned.Done) != test.done {
				t.Errorf("messages are %q with %d items done, want %q and %d", got, len(planned.Done), test.want, test.done)
			}
		})
	}
}

func TestStormBeginsAtTenRaisesAndEndsBelowFive(t *testing.T) {
	t.Parallel()
	one := items(alarm.High, noon, "A raised")
	now := noon.Add(2 * time.Second)
	for _, test := range []struct {
		state notify.Sent
		want  bool
	}{
		{notify.Sent{Raises: 8}, false}, {notify.Sent{Raises: 9}, true},
		{notify.Sent{Raises: 4, Storm: true}, true}, {notify.Sent{Raises: 3, Storm: true}, false},
	} {
		if after := notify.Plan(test.state, one, now).After; after.Storm != test.want {
			t.Errorf("%+v and a raise: storm is %t, want %t", test.state, after.Storm, test.want)
		}
	}
	storm := notify.Sent{Storm: true, Raises: 100, DigestAt: noon}
	if messages := notify.Plan(storm, one, noon.Add(59*time.Second)).Messages; len(messages) != 0 {
		t.Error("two digests in a minute")
	}
	if planned := notify.Plan(storm, one, noon.Add(time.Minute)); words(planned.Messages) != "digest A[raised]" || planned.After.DigestAt != noon.Add(time.Minute) {
		t.Errorf("messages are %q, want a digest", words(planned.Messages))
	}
	low := items(alarm.Low, noon, "A raised")
	if messages := notify.Plan(storm, low, noon.Add(299*time.Second)).Messages; len(messages) != 0 {
		t.Error("two digests of low priority in 5 minutes")
	}
	if messages := notify.Plan(storm, low, noon.Add(300*time.Second)).Messages; len(messages) != 1 {
		t.Error("no digest of low priority after 5 minutes")
	}
}

func TestAtMostTenMessagesAMinute(t *testing.T) {
	t.Parallel()
	pending := items(alarm.High, noon, "A raised", "B raised", "C raised", "D escalated")
	for i := range pending {
		pending[i].Alarm.Cohort = fmt.Sprint(i)
	}
	pending[2].Alarm.Since = noon.Add(-time.Hour)
	pending[3].Alarm.Since, pending[3].Told = noon.Add(-24*time.Hour), true // a repeat, each 5 minutes, of what is not answered
	messages := notify.Plan(notify.Sent{Messages: 9}, pending, noon.Add(time.Minute)).Messages
	if words(messages) != "raised C[raised]" {
		t.Errorf("messages are %q, want the tenth alone, that of the oldest alarm which was not told", words(messages))
	}
}

func TestDelaysOfRetries(t *testing.T) {
	t.Parallel()
	for priority, want := range map[alarm.Priority][]time.Duration{
		alarm.High: {2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, time.Minute},
		alarm.Low:  {5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, -1},
	} {
		for i, least := range want {
			delay, again := notify.RetryDelay(priority, i+1, time.Hour)
			if again != (least > 0) || again && (delay < least || delay > least+least/5) {
				t.Errorf("%s, attempt %d: %s and %t, want %s to a fifth more", priority, i+1, delay, again, least)
			}
		}
	}
	if _, again := notify.RetryDelay(alarm.High, 1000, 24*time.Hour); again {
		t.Error("a message of high priority is tried for more than a day")
	}
}

func TestAnswersAndUntakenMessages(t *testing.T) {
	t.Parallel()
	one, two := uuid.New(), uuid.New()
	for name, test := range map[string]struct {
		pending   []string
		change    func(all []notify.Item)
		want      string
		done      int
		withdrawn int
	}{
		"nothing new": {pending: []string{"A raised"}, change: func(all []notify.Item) { all[0].Message = one }},
		"new of an alarm in a message": {pending: []string{"A raised", "A escalated"}, change: func(all []notify.Item) { all[0].Message = one },
			want: "escalated A[raised escalated]", withdrawn: 1},
		"new of another alarm": {pending: []string{"A raised", "B raised"}, change: func(all []notify.Item) { all[0].Message = one },
			want: "raised B[raised]"},
		"through a message of both": {pending: []string{"A raised", "B raised", "B worsened", "A escalated"}, change: func(all []notify.Item) {
			all[0].Message, all[1].Message, all[2].Message = one, one, two
		}, want: "digest A[raised escalated] B[raised worsened]", withdrawn: 3},
		"repeats of an escalation": {pending: []string{"A raised", "A escalated", "A escalated"}, want: "escalated A[raised escalated]"},
		"a raise that is snoozed":  {pending: []string{"A raised"}, change: func(all []notify.Item) { all[0].Alarm.Snoozed = true }},
		"a raise that is acknowledged, with the event": {pending: []string{"A raised", "A acknowledged"}, change: func(all []notify.Item) {
			all[0].Alarm.Acknowledged, all[1].Alarm.Acknowledged = true, true
		}, want: "acknowledged A[raised acknowledged]"},
		"an escalation in a message, acknowledged": {pending: []string{"A escalated", "A acknowledged"}, change: func(all []notify.Item) {
			all[0].Alarm.Acknowledged, all[1].Alarm.Acknowledged, all[0].Message = true, true, one
		}, done: 2, withdrawn: 1},
		"of a destination that cannot be reached": {pending: []string{"A undelivered"}, want: "escalated A[escalated]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pending := items(alarm.High, noon, test.pending...)
			if test.change != nil {
				test.change(pending)
			}
			planned := notify.Plan(notify.Sent{}, pending, noon.Add(time.Minute))
			if got := words(planned.Messages); got != test.want || len(planned.Done) != test.done || len(planned.Withdrawn) != test.withdrawn {
				t.Errorf("messages are %q, %d items done, %d withdrawn; want %q, %d, %d", got, len(planned.Done), len(planned.Withdrawn), test.want, test.done, test.withdrawn)
			}
		})
	}
}

func TestDestinationWithIncidentsGetsAMessageForEach(t *testing.T) {
	t.Parallel()
	storm := notify.Incident{ID: uuid.New()}
	sent := notify.Sent{Incidents: true, StormIncident: storm}
	pending := items(alarm.High, noon, "A raised", "B raised")
	if planned := notify.Plan(sent, pending, noon.Add(time.Minute)); words(planned.Messages) != "raised A[raised]; raised B[raised]" {
		t.Errorf("messages are %q, want one for each alarm", words(planned.Messages))
	}
	sent.Raises, sent.Messages = 9, 2
	pending = items(alarm.High, noon, "A escalated", "B raised", "C raised")
	pending[0].Told = true
	planned := notify.Plan(sent, pending, noon.Add(time.Minute))
	if words(planned.Messages) != "digest B[raised] C[raised]; escalated A[escalated]" || planned.Messages[0].Key() != storm.ID || planned.After.Messages != 3 {
		t.Errorf("in a storm messages are %q, want A by itself and the others together", words(planned.Messages))
	}
	// One that comes and goes between two digests changes nothing about the others; one that ended unseen must be counted with them.
	sent.Storm, sent.StormIncident.Open, sent.StormIncident.Left = true, 7, 7
	pending = items(alarm.Medium, noon, "A raised", "A cleared")
	if planned := notify.Plan(sent, pending, noon.Add(time.Hour)); len(planned.Messages) != 0 || len(planned.Done) != 2 {
		t.Errorf("messages are %q, want none beside 7 unanswered alarms", words(planned.Messages))
	}
	pending[1].Alarm.Open = true // latched
	if planned := notify.Plan(sent, pending, noon.Add(time.Hour)); len(planned.Messages) != 1 || planned.Messages[0].Incident.Left != 8 || planned.Messages[0].State() != notify.Triggered {
		t.Errorf("messages are %+v, want one that triggers", planned.Messages)
	}
	for left, want := range map[int]string{1: "", 0: "cleared A[cleared]"} {
		pending = items(alarm.High, noon, "A cleared")
		pending[0].Told, pending[0].Incident = true, notify.Incident{ID: storm.ID, Open: left, Left: left}
		planned := notify.Plan(notify.Sent{Incidents: true}, pending, noon.Add(time.Minute))
		if words(planned.Messages) != want || len(planned.Done)+len(planned.Messages) != 1 {
			t.Errorf("with %d alarms left: %q, want %q", left, words(planned.Messages), want)
		}
		if left == 0 && planned.Messages[0].State() != notify.Resolve {
			t.Error("the incident is not resolved with its last alarm")
		}
	}
}
