package outbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/outbox"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

func TestEachStepReachesItsTier(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.raise("CUST_00001")
	f.pass(0)
	f.wantSent("ward", "") // others may follow within 2 s
	f.pass(2 * time.Second)
	f.wantSent("ward", "raised: raised")
	f.escalate(time.Minute, 1)
	f.settle()
	f.wantSent("doctor", "escalated: escalated")
	f.escalate(2*time.Minute, 1) // no route of tier 2: the doctor again
	f.settle()
	f.wantSent("doctor", "escalated: escalated")
	f.acknowledge("CUST_00001")
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.settle()
	for _, destination := range []string{"ward", "doctor"} {
		f.wantSent(destination, "cleared: acknowledged cleared")
	}
}

func TestRaisedAndClearedBeforeSendingIsOneMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.raise("CUST_00001")
	f.pass(0)
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.pass(time.Second)
	f.pass(time.Second)
	f.wantSent("ward", "cleared: raised cleared")
}

func TestNothingFollowsAnAcknowledgement(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	f.wantSent("ward", "raised: raised")
	f.escalate(time.Minute, 1)
	f.pass(0) // the escalation waits for others
	f.acknowledge("CUST_00001")
	f.pass(time.Second)
	f.pass(2 * time.Second)
	f.wantSent("doctor", "")
	f.wantSent("ward", "acknowledged: acknowledged")
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
}

// Who was told of the end must hear that it was not the end, though the acknowledgement would last longer.
func TestReopenedAlarmCallsAgain(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	f.wantSent("ward", "raised: raised")
	f.acknowledge("CUST_00001")
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High))
	f.settle()
	f.wantSent("ward", "cleared: acknowledged cleared")
	f.apply(f.transition("CUST_00001", alarm.Reopened, alarm.High))
	f.settle()
	f.wantSent("ward", "reopened: reopened")
	f.escalate(time.Minute, 1)
	f.settle()
	f.wantSent("doctor", "escalated: escalated")
}

func TestStormIsToldInDigests(t *testing.T) {
	t.Parallel()
	const customers = 10_000
	f := newFixture(t, twoTiers)
	var raises, clears []alarm.Transition
	for i := range customers {
		priority := alarm.Low
		if i == customers/2 {
			priority = alarm.High
		}
		raises = append(raises, f.transition(fmt.Sprintf("CUST_%05d", i+1), alarm.Raised, priority))
	}
	f.apply(raises...)
	messages := 0
	for range 20 { // a minute
		messages += f.pass(3 * time.Second).Messages
	}
	if messages == 0 || messages > 10 {
		t.Errorf("%d messages in the first minute, want 1 to 10", messages)
	}
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM alarm_events WHERE kind = 'raised' AND routed_at IS NOT NULL`, fmt.Sprint(customers))
	first := f.lease("ward")
	if len(first) != 1 || !strings.Contains(string(first[0].Body), `the worst: rate_high of CUST_05001, high`) {
		t.Fatalf("%d messages are due, the first: %.300s; want one digest, the worst first", len(first), first[0].Body)
	}
	if len(first[0].Body) > 32<<10 {
		t.Errorf("the digest has %d bytes", len(first[0].Body))
	}
	f.finish("ward", &first[0], outbox.Attempt{Code: 200})
	for i := range customers {
		clears = append(clears, f.transition(fmt.Sprintf("CUST_%05d", i+1), alarm.Cleared, alarm.Low))
	}
	f.apply(clears...)
	for range 30 {
		messages += f.pass(time.Minute).Messages
	}
	f.sent("ward")
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
	pgtest.WantRows(t, f.pool, `SELECT count(DISTINCT id) FROM deliveries, unnest(alarm_ids) AS id WHERE state = 'sent'`, fmt.Sprint(customers))
	if messages > 20 {
		t.Errorf("%d messages in all, want few", messages)
	}
}

// A notifier that starts late sends no calls, and reports the end to each destination that was called.
func TestOldEventsCallNobodyButEndWhatWasTold(t *testing.T) {
	t.Parallel()
	f := withAlarm(t)
	f.wantSent("ward", "raised: raised")
	f.raise("CUST_00002")
	f.apply(f.transition("CUST_00001", alarm.Cleared, alarm.High), f.transition("CUST_00002", alarm.Cleared, alarm.High))
	f.now = f.now.Add(25 * time.Hour)
	if routed := f.pass(0); routed.Passed != 1 || routed.Events != 3 {
		t.Errorf("%+v, want one call of three events passed over", routed)
	}
	f.pass(2 * time.Second)
	f.wantSent("ward", "cleared: cleared")
	pgtest.WantRows(t, f.pool, `SELECT count(*) FROM notification_queue`, "0")
}

func TestHistoryTakesTheMarkOnceAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	f.raise("CUST_00001")
	for _, statement := range []string{
		`UPDATE alarm_events SET note = 'x'`, `UPDATE alarm_events SET routed_at = now(), note = 'x'`, `UPDATE alarm_events SET routed_at = NULL`,
		`DELETE FROM alarm_events`,
	} {
		if _, err := f.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s is allowed", statement)
		}
	}
	pgtest.Exec(t, f.pool, `UPDATE alarm_events SET routed_at = now()`)
	if _, err := f.pool.Exec(t.Context(), `UPDATE alarm_events SET routed_at = now() + interval '1 s'`); err == nil {
		t.Error("the mark can change")
	}
}

// The role of notifiers may do its work, and neither change an alarm otherwise nor read a reading or a note.
func TestNotifierWorksWithItsRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t, twoTiers)
	if err := schema.ApplyRoles(t.Context(), f.pool, map[schema.Role]string{schema.NotifyRole: "notify-secret"}); err != nil {
		t.Fatal(err)
	}
	f.raise("CUST_00001", "CUST_00002")
	f.acknowledge("CUST_00002")
	role := pgtest.SignIn(t, f.pool, "heartbeat_notify", "notify-secret")
	f.store = outbox.New(role)
	if err := schema.Check(t.Context(), role); err != nil {
		t.Error(err)
	}
	f.settle()
	first := f.lease("ward")
	f.finish("ward", &first[0], outbox.Attempt{Code: 410, Gone: true, Error: "gone"})
	store := alarmstore.New(role)
	if _, err := store.Escalate(t.Context(), f.now.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	if ended, err := store.Expire(t.Context(), f.now.Add(15*time.Minute)); ended != 1 || err != nil {
		t.Errorf("%d acknowledgements ended, %v; want 1", ended, err)
	}
	if _, err := f.store.Retry(t.Context(), uuid.Nil, "ward", f.now); err != nil {
		t.Error(err)
	}
	if _, _, err := f.store.Depths(t.Context(), f.now); err != nil {
		t.Error(err)
	}
	if err := f.store.Drop(t.Context(), f.now); err != nil {
		t.Error(err)
	}
	if err := f.store.DropUnknown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, statement := range []string{
		`SELECT note FROM alarm_events`, `SELECT note FROM alarms`, `SELECT FROM heartbeat_records`, `SELECT FROM console_users`, `UPDATE alarms SET closed_at = now()`,
		`UPDATE alarm_events SET note = ''`, `DELETE FROM alarm_events`, `INSERT INTO alarm_events (actor) VALUES ('x')`, `DELETE FROM notification_destinations`,
	} {
		if _, err := role.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v, want it refused for lack of a right", statement, err)
		}
	}
}
