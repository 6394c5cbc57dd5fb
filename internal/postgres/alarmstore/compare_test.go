package alarmstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

// compareHistory returns what alarmstore.CompareHistory finds.
func compareHistory(t *testing.T, pool *pgxpool.Pool) (found []string) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // only read
	err = alarmstore.CompareHistory(t.Context(), tx, func(stored alarm.Alarm, detail string) {
		found = append(found, stored.Subject+" "+detail)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Each change of one column, or of the history, is found and named.
func TestRowThatContradictsItsHistoryIsFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, want string }{
		"nothing":          {`SELECT`, ""},
		"version":          {`UPDATE alarms SET version = 9 WHERE subject = 'CUST_00020'`, "CUST_00020 version is 9, its events give 1"},
		"peak":             {`UPDATE alarms SET peak = 198 WHERE subject = 'CUST_00020'`, "CUST_00020 peak is 198, its events give 199"},
		"tier":             {`UPDATE alarms SET tier = 2 WHERE subject = 'CUST_00020'`, "CUST_00020 tier is 2, its events give 0"},
		"acknowledged":     {`UPDATE alarms SET acknowledged_by = 'ben' WHERE subject = 'CUST_00021'`, `CUST_00021 acknowledged_by is "ben", its events give "anna"`},
		"last offset":      {`UPDATE alarms SET episode_last_offset = 5 WHERE subject = 'CUST_00022'`, "CUST_00022 episode_last_offset is 5, its events give 12"},
		"no events":        {withoutTriggers(`DELETE FROM alarm_events WHERE alarm_id = (SELECT alarm_id FROM alarms WHERE subject = 'CUST_00020')`), "CUST_00020 has no events"},
		"a missing event":  {withoutTriggers(`DELETE FROM alarm_events WHERE kind = 'acknowledged' AND alarm_id = (SELECT alarm_id FROM alarms WHERE subject = 'CUST_00021')`), "CUST_00021 acknowledged_at is"},
		"an event between": {withoutTriggers(`UPDATE alarm_events SET version = 7 WHERE kind = 'cleared' AND alarm_id = (SELECT alarm_id FROM alarms WHERE subject = 'CUST_00022')`), "CUST_00022 cannot have event 7, cleared"},
		"an event's kind":  {withoutTriggers(`UPDATE alarm_events SET kind = 'reopened' WHERE kind = 'cleared' AND alarm_id = (SELECT alarm_id FROM alarms WHERE subject = 'CUST_00022')`), "CUST_00022 cannot have event 2, reopened"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.Database(t)
			fleet(t, pool, alarmstore.New(pool))
			if _, err := pool.Exec(t.Context(), test.change, pgxSimple); err != nil {
				t.Fatal(err)
			}
			found := compareHistory(t, pool)
			if test.want == "" && len(found) > 0 || test.want != "" && (len(found) != 1 || !strings.Contains(found[0], test.want)) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

func withoutTriggers(statement string) string {
	return fmt.Sprintf(`ALTER TABLE alarm_events DISABLE TRIGGER USER; %s; ALTER TABLE alarm_events ENABLE TRIGGER USER`, statement)
}

// More alarms than are compared at once.
func TestHistoryOfManyAlarmsIsCompared(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	var batch []alarm.Transition
	for i := range 2500 {
		batch = append(batch, transition(fmt.Sprintf("CUST_%05d", i), alarm.Raised, alarm.High, noon, int64(i)))
	}
	if err := alarmstore.Apply(t.Context(), pool, "log", 0, batch); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, pool, `UPDATE alarms SET peak = 1 WHERE kafka_offset % 100 = 7`)
	if found := compareHistory(t, pool); len(found) != 25 {
		t.Errorf("found %d alarms that contradict their history, want 25", len(found))
	}
}
