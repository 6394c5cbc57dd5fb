package alarmstore_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

// Each role has exactly these rights on the tables of alarms, column by column. Reading is left out: all but Grafana may.
func TestRightsOfEachRoleOnAlarms(t *testing.T) {
	t.Parallel()
	owner := pgtest.Database(t)
	passwords := map[schema.Role]string{schema.OperatorRole: "operator-secret", schema.IngestRole: "ingest-secret", schema.GrafanaRole: "grafana-secret"}
	if err := schema.ApplyRoles(t.Context(), owner, passwords); err != nil {
		t.Fatal(err)
	}
	const all = "*"
	granted := map[schema.Role]map[string]string{
		schema.OperatorRole: {
			"UPDATE alarms": "version closed_at closed_by acknowledged_by acknowledged_at acknowledged_until seen_at snoozed_by snoozed_until " +
				"assigned_to note tier",
			"INSERT alarm_events": "event_id alarm_id version kind at actor until assignee tier note",
			"INSERT detection_limits": "scope cohort customer_id low high hours_from hours_to hours_offset author reason " +
				"effective_from ends_at",
			"UPDATE detection_limits": "ends_at ended_by ended_at end_reason",
			"INSERT cohort_members":   "customer_id effective_from cohort author",
		},
		schema.IngestRole: {
			"INSERT alarms": all, "UPDATE alarms": all, "INSERT alarm_events": all, "INSERT detector_states": all, "UPDATE detector_states": all,
		},
		schema.DashboardRole: {},
		schema.GrafanaRole:   {},
	}
	for role, rights := range granted {
		for table := range strings.FieldsSeq("alarms alarm_events detection_limits cohort_members detector_states") {
			for right := range strings.FieldsSeq("INSERT UPDATE") {
				want := strings.Fields(rights[right+" "+table])
				differ := pgtest.Value[string](t, owner, `
SELECT coalesce(string_agg(attname, ' '), '')
  FROM pg_attribute
 WHERE attrelid = $2::regclass AND attnum > 0 AND NOT attisdropped
   AND has_column_privilege($1, attrelid, attnum, $3) <> ('*' = ANY ($4::text[]) OR attname = ANY ($4::text[]))`, string(role), table, right, want)
				if differ != "" {
					t.Errorf("%s: the right to %s %s differs in %s", role, right, table, differ)
				}
			}
			for right := range strings.FieldsSeq("DELETE TRUNCATE") {
				if pgtest.Value[bool](t, owner, `SELECT has_table_privilege($1, $2, $3)`, string(role), table, right) {
					t.Errorf("%s may %s %s", role, right, table)
				}
			}
		}
		if got := pgtest.Value[bool](t, owner, `SELECT has_function_privilege($1, 'drop_closed_alarms(timestamptz)', 'EXECUTE')`, string(role)); got != (role == schema.IngestRole) {
			t.Errorf("%s may drop closed alarms: %t", role, got)
		}
	}
	t.Run("operators work with it", func(t *testing.T) {
		ingest, operator := pgtest.SignIn(t, owner, "heartbeat_ingest", "ingest-secret"), pgtest.SignIn(t, owner, "heartbeat_operator", "operator-secret")
		raise := transition("CUST_00001", alarm.Raised, alarm.High, noon, 1)
		if err := alarmstore.Apply(t.Context(), ingest, "log", 0, []alarm.Transition{raise}); err != nil {
			t.Fatal(err)
		}
		store := alarmstore.New(operator)
		for _, action := range []alarm.Action{
			{Kind: alarm.Acknowledged, Actor: "anna"}, {Kind: alarm.Snoozed, Actor: "anna", Note: "x", For: 1}, {Kind: alarm.Assigned, Actor: "anna", Assignee: "ben"},
			{Kind: alarm.Commented, Actor: "anna", Note: "x"},
		} {
			if _, err := store.Act(t.Context(), raise.Alarm, action, noon); err != nil {
				t.Errorf("%s: %v", action.Kind, err)
			}
		}
		limit := mustSet(t, store, alarm.Limit{Scope: "fleet", High: 170, Author: "anna", Reason: "x"})
		if _, err := store.EndLimit(t.Context(), limit.ID, "anna", "x"); err != nil {
			t.Error(err)
		}
		if _, err := store.SetCohort(t.Context(), 1, "ward 3", "anna"); err != nil {
			t.Error(err)
		}
		if _, _, _, err := alarmstore.New(ingest).LimitHistory(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := alarmstore.New(ingest).DropClosed(t.Context(), noon); err != nil {
			t.Error(err)
		}
		grafana := pgtest.SignIn(t, owner, "heartbeat_grafana", "grafana-secret")
		pgtest.WantRows(t, grafana, `SELECT condition, priority::text FROM alarms`, "rate_high high")
		if _, err := grafana.Exec(t.Context(), `SELECT note FROM alarm_events`); err == nil {
			t.Error("Grafana reads what people write about a person")
		}
	})
	t.Run("operators cannot change the past", func(t *testing.T) {
		operator := pgtest.SignIn(t, owner, "heartbeat_operator", "operator-secret")
		mustSet(t, alarmstore.New(operator), alarm.Limit{Scope: "fleet", High: 170, Author: "anna", Reason: "x"})
		for name, sql := range map[string]string{
			"limit of an hour ago": `INSERT INTO detection_limits (scope, high, author, reason, effective_from) VALUES ('fleet', 170, 'anna', 'x', now() - interval '1 hour')`,
			"limit ended an hour ago": `
UPDATE detection_limits SET ends_at = now() - interval '1 hour', ended_by = 'anna', ended_at = now(), end_reason = 'x' WHERE ended_at IS NULL`,
			"cohort of an hour ago": `INSERT INTO cohort_members (customer_id, cohort, author, effective_from) VALUES ('CUST_00001', 'ward', 'anna', now() - interval '1 hour')`,
			"limit that grows":      `UPDATE detection_limits SET high = 230`,
			"event changed":         `UPDATE alarm_events SET actor = 'ben'`,
			"event gone":            `SET heartbeat.dropping_closed_alarms = 'on'; DELETE FROM alarm_events`,
			"alarm gone":            `SET heartbeat.dropping_closed_alarms = 'on'; DELETE FROM alarms`,
			"event of the detector": `INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, kafka_topic) VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'raised', now(), 'log')`,
			"alarm with no subject": `INSERT INTO alarms (alarm_id) VALUES (gen_random_uuid())`,
			"closed while active":   `UPDATE alarms SET closed_at = now(), closed_by = 'anna' WHERE active`,
			"closed ones dropped":   `SELECT drop_closed_alarms(now() - interval '2 hours')`,
			"triggers silenced":     `SET session_replication_role = replica`,
		} {
			if _, err := operator.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err == nil {
				t.Errorf("%s: the database lets an operator do it", name)
			}
		}
	})
}
