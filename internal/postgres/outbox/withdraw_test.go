package outbox_test

import (
	"strings"
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/postgres/pgtest"
)

// The outcomes of attempts: no receiver was reached; it refused the message; it may have taken it.
var (
	down    = outbox.Attempt{Error: "connection refused", Untaken: true}
	refused = outbox.Attempt{Code: 503, Error: "the receiver answered 503", Untaken: true}
	unknown = outbox.Attempt{Error: "connection reset by peer"}
)

// Alertmanager #878: raised and cleared 3 s apart while the receiver is down is one message when it is back.
func TestAlertmanager878RaiseAndClearWhileTheReceiverIsDownAreOneMessage(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	if ids := f.attempt("ward", down); len(ids) != 1 {
		t.Fatalf("%d attempts, want 1", len(ids))
	}
	f.now = f.now.Add(time.Second)
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High)) // 3 s after the raise
	f.settle()
	f.wantSent("ward", "cleared: raised cleared")
	pgtest.WantRows(t, f.pool, `SELECT state, type FROM deliveries ORDER BY sequence`, "withdrawn raised", "sent cleared")
}

// An attempt of unknown outcome may have been taken: the message stays as it is, and the end follows it.
func TestMessageOfUnknownOutcomeIsSentAgainUnchanged(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	f.attempt("ward", down)
	f.now = f.now.Add(3 * time.Second)
	first := f.attempt("ward", unknown)
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.now = f.now.Add(7 * time.Second)
	f.settle()
	second := f.lease("ward")
	if len(first) != 1 || len(second) != 1 || second[0].ID != first[0] || inWords(t, second[0].Body) != "raised: raised" {
		t.Fatalf("leased %v and %v, want the raise twice", first, second)
	}
	f.finish("ward", &second[0], outbox.Attempt{Code: 200})
	f.wantSent("ward", "cleared: cleared")
}

// Grafana OnCall #4760: acknowledged at 59.9 s, right before the escalation: nothing calls later.
func TestGrafanaOnCall4760AcknowledgedAt59900msNothingCallsLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.raise("CUST_00001")
	raisedAt := pgtest.Value[time.Time](t, f.pool, `SELECT recorded_at FROM alarm_events`)
	f.now = raisedAt
	f.settle()
	f.wantSent("ward", "raised: raised")
	f.now = raisedAt.Add(59_900 * time.Millisecond)
	f.acknowledge("CUST_00001")
	for range 14 {
		f.escalate(time.Minute, 0)
		f.settle()
	}
	f.wantSent("ward", "acknowledged: acknowledged")
	f.wantSent("doctor", "")
}

// The commit of an acknowledgement ends calls that wait for another attempt, before it is routed and after.
func TestNoCallIsSentAfterTheCommitOfAnAcknowledgement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcome outbox.Attempt
		doctor  string
	}{
		"not taken": {refused, ""}, "unknown": {unknown, "acknowledged: acknowledged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := withAlarm(t)
			f.wantSent("ward", "raised: raised")
			f.escalate(time.Minute, 1)
			f.settle()
			f.attempt("doctor", test.outcome)
			f.now = f.now.Add(10 * time.Second)
			f.acknowledge("CUST_00001")
			if leased := f.lease("doctor"); len(leased) != 0 { // not routed yet
				t.Fatalf("%s was sent after the acknowledgement", inWords(t, leased[0].Body))
			}
			f.settle()
			f.wantSent("doctor", test.doctor)
			f.wantSent("ward", "acknowledged: acknowledged")
			pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
		})
	}
}

// Nightscout #8231: snoozed for 10 minutes, new readings, a restart, then no data: it sounds at 10:00. No reading moves the timer.
func TestNightscout8231SnoozeEndsOnTimeWithoutData(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	f.wantSent("ward", "raised: raised")
	snoozedAt := f.now.Truncate(time.Microsecond)
	action := alarm.Action{Kind: alarm.Snoozed, Actor: "anna", Note: "electrode", For: 10 * time.Minute}
	if _, err := f.alarms.Act(t.Context(), f.ids["CUST_00001"], action, snoozedAt); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Minute)
	f.raise("CUST_00001") // again, in the alarm that is snoozed
	f.settle()
	f.store, f.alarms = outbox.New(f.pool), alarmstore.New(f.pool) // all that a restart loses
	ends := snoozedAt.Add(10 * time.Minute)
	for ; f.now.Before(ends); f.now = f.now.Add(30 * time.Second) {
		f.tick(f.now)
	}
	f.tick(ends.Add(-time.Microsecond))
	f.wantSent("ward", "")
	f.wantSent("doctor", "")
	f.tick(ends)
	f.tick(ends.Add(2 * time.Second)) // others may follow
	f.wantSent("ward", "escalated: escalated")
}

// tick is a turn of a notifier.
func (f *fixture) tick(now time.Time) {
	f.t.Helper()
	f.now = now
	if _, err := f.alarms.Expire(f.t.Context(), now); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.alarms.Escalate(f.t.Context(), now); err != nil {
		f.t.Fatal(err)
	}
	f.pass(0)
}

// A message of several alarms whose only open one is snoozed must not hold up the others.
func TestSnoozedAlarmHoldsNothingUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.raise("CUST_00001", "CUST_00002")
	f.settle()
	f.attempt("ward", refused)
	for _, customer := range []string{"CUST_00001", "CUST_00002"} {
		if _, err := f.alarms.Act(t.Context(), f.ids[customer], alarm.Action{Kind: alarm.Snoozed, Actor: "anna", Note: "x", For: 5 * time.Minute}, f.now); err != nil {
			t.Fatal(err)
		}
	}
	f.raise("CUST_00003", "CUST_00004")
	f.now = f.now.Add(5 * time.Second)
	f.settle()
	f.wantSent("ward", "digest of map[raised:2]")
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.settle()
	f.wantSent("ward", "cleared: raised cleared") // which calls no one
	f.tick(f.now.Add(5 * time.Minute))
	f.tick(f.now.Add(2 * time.Second))
	if got := f.sent("ward"); !strings.Contains(got, "digest") || strings.Contains(got, ",") {
		t.Errorf("ward was sent %q, want one digest of both", got)
	}
}

func TestHighThatFailsForAMinuteGoesToTheNextTier(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.High), f.transition("CUST_00002", alarm.Raised, alarm.Medium))
	raisedAt := f.now
	f.settle()
	for f.now.Before(raisedAt.Add(59 * time.Second)) {
		f.attempt("ward", refused)
		f.pass(time.Second)
	}
	f.wantSent("doctor", "")
	f.now = raisedAt.Add(time.Minute)
	if routed := f.pass(0); routed.FailedOver != 1 {
		t.Fatalf("%+v, want one alarm for the next tier", routed)
	}
	f.pass(2 * time.Second)
	leased := f.lease("doctor")
	if len(leased) != 1 || !strings.Contains(string(leased[0].Body), `"events":["escalated"]`) || !strings.Contains(string(leased[0].Body), `"undelivered_to":["ward"]`) ||
		!strings.Contains(string(leased[0].Body), "CUST_00001") {
		t.Fatalf("the doctor gets %v, want the alarm of high priority and who was not reached", leased)
	}
	f.finish("doctor", &leased[0], outbox.Attempt{Code: 200})
	for range 10 {
		f.pass(time.Minute)
	}
	f.wantSent("doctor", "")
}

func TestHighWithoutAPlaceForAMinuteGoesToTheNextTier(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	crowd := func() { // all messages of a minute
		t.Helper()
		pgtest.Exec(t, f.pool, `
INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, body, created_at, next_attempt_at, state, ended_at)
SELECT gen_random_uuid(), 'ward', 'cleared', 'high', '{}'::uuid[], 0, '', at, at, 'sent', at
  FROM generate_series(1, 10), (VALUES ('`+f.now.Format(time.RFC3339Nano)+`'::timestamptz)) AS made (at)`)
	}
	f.raise("CUST_00001")
	f.pass(0)
	crowd()
	f.pass(50 * time.Second)
	crowd()
	if routed := f.pass(10*time.Second - time.Millisecond); routed.FailedOver != 0 || routed.Messages != 0 {
		t.Errorf("%+v before its time", routed)
	}
	if routed := f.pass(time.Millisecond); routed.FailedOver != 1 || routed.Messages != 0 {
		t.Errorf("%+v, want one alarm for the next tier", routed)
	}
	if routed := f.pass(2 * time.Second); routed.FailedOver != 0 {
		t.Errorf("%+v, want it told once", routed)
	}
	f.wantSent("doctor", "escalated: escalated")
	f.pass(time.Minute)
	f.wantSent("ward", "raised: raised")
}

func TestNextTierIsToldOnceAndOnlyOfWhatNobodyAnswered(t *testing.T) {
	t.Parallel()
	const threeTiers = `
destinations: {ward: {log: {}}, doctor: {log: {}}, chief: {log: {}}}
routes: [{to: [ward]}, {to: [doctor], tier: 1}, {to: [chief], tier: 2}]`
	f := newFixture(t, threeTiers)
	f.raise("CUST_00001", "CUST_00002")
	f.settle()
	gone := outbox.Attempt{Code: 410, Gone: true, Untaken: true, Error: "the receiver answered 410"}
	f.acknowledge("CUST_00002")
	f.attempt("ward", gone) // dead at once, so the next tier is told at once
	f.settle()
	leased := f.lease("doctor")
	if len(leased) != 1 || strings.Contains(string(leased[0].Body), "CUST_00002") {
		t.Fatalf("the doctor gets %v, want the unanswered alarm", leased)
	}
	f.finish("doctor", &leased[0], gone)
	f.settle()
	leased = f.lease("chief")
	if len(leased) != 1 || !strings.Contains(string(leased[0].Body), `"undelivered_to":["doctor"]`) {
		t.Fatalf("the chief gets %v", leased)
	}
	f.finish("chief", &leased[0], gone)
	for range 5 {
		if routed := f.pass(time.Minute); routed.FailedOver != 0 {
			t.Errorf("%+v: there is no one above the chief", routed)
		}
	}
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue WHERE delivery_id IS NOT NULL`, "0")
}

// What a person sends again is sent, whatever has become of its alarms.
func TestRetriedMessageIsSentThoughItsAlarmIsClosed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.apply(f.transition("CUST_00001", alarm.Raised, alarm.Low))
	f.pass(0)
	f.pass(time.Minute)
	ids := f.attempt("ward", outbox.Attempt{Code: 400, Rejected: true, Untaken: true, Error: "the receiver answered 400"})
	pgtest.WantRows(t, f.pool, `SELECT state, attempts FROM deliveries`, "dead 1")
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.Low))
	f.settle()
	if count, err := f.store.Retry(t.Context(), ids[0], "", f.now); count != 1 || err != nil {
		t.Fatal(count, err)
	}
	f.pass(0)
	f.wantSent("ward", "raised: raised")
	f.pass(0)
	f.pass(time.Minute)
	f.wantSent("ward", "cleared: cleared") // which was routed to no destination while the ward had not been told
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
}

// A message that was given up may have been taken at an earlier attempt.
func TestEndFollowsADeadMessageThatMayHaveBeenTaken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first outbox.Attempt
		want  string
	}{"unknown": {unknown, "cleared: cleared"}, "not taken": {refused, ""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := withAlarm(t)
			f.attempt("ward", test.first)
			f.now = f.now.Add(time.Minute)
			f.attempt("ward", outbox.Attempt{Code: 400, Rejected: true, Untaken: true, Error: "the receiver answered 400"})
			f.pass(0)
			f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
			f.settle()
			f.wantSent("ward", test.want)
		})
	}
}
