package grafana_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/postgres/pgtest"
)

// alarmRows are the alarms of one morning, in minutes after its start: what happened, when, and who did it.
//
//	1  raised at 0, acknowledged by anna after 1 minute and again after 20: the second does not count
//	2  raised at 0, acknowledged by ben after 3 minutes
//	3  raised at 0, acknowledged after 2 minutes, over at 10, reopened at 15, acknowledged by ben 8 minutes later
//	4  raised at 70, not acknowledged
//	5  raised at 75, acknowledged by anna at 80 until 90, which has passed
//	6  raised at 76, ended before a person saw it
const alarmRows = `
CREATE TEMPORARY TABLE happened (alarm integer, minute integer, kind text, actor text);
INSERT INTO happened VALUES
  (1, 0, 'raised', NULL), (1, 1, 'acknowledged', 'anna'), (1, 20, 'acknowledged', 'anna'), (1, 30, 'cleared', NULL),
  (2, 0, 'raised', NULL), (2, 3, 'acknowledged', 'ben'), (2, 30, 'cleared', NULL),
  (3, 0, 'raised', NULL), (3, 2, 'acknowledged', 'anna'), (3, 10, 'cleared', NULL), (3, 15, 'reopened', NULL), (3, 23, 'acknowledged', 'ben'), (3, 40, 'cleared', NULL),
  (4, 70, 'raised', NULL),
  (5, 75, 'raised', NULL), (5, 80, 'acknowledged', 'anna'),
  (6, 76, 'raised', NULL), (6, 78, 'cleared', NULL);
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, recorded_at, actor)
SELECT gen_random_uuid(), lpad(alarm::text, 32, '0')::uuid, row_number() OVER (PARTITION BY alarm ORDER BY minute), kind,
       start + minute * interval '1 minute' - interval '5 seconds', start + minute * interval '1 minute', actor
  FROM happened, (SELECT now() - interval '2 hours' AS start) AS morning;
INSERT INTO alarms (alarm_id, version, subject, condition, priority, current_priority, active, raised_at, active_since, onset_at, cleared_at, closed_at,
                    value, "limit", acknowledged_by, acknowledged_at, acknowledged_until, seen_at, kafka_topic, kafka_partition, kafka_offset, episode_first_offset, episode_last_offset)
SELECT lpad(alarm::text, 32, '0')::uuid, 1, 'CUST_0000' || alarm, CASE WHEN alarm < 3 THEN 'rate_high' WHEN alarm = 5 THEN 'bad_signal' ELSE 'rate_low' END,
       CASE alarm WHEN 5 THEN 'low' ELSE 'high' END::alarm_priority, CASE alarm WHEN 5 THEN 'low' ELSE 'high' END::alarm_priority, alarm IN (4, 5),
       raised, raised, raised, CASE WHEN alarm NOT IN (4, 5) THEN raised + interval '2 minutes' END, CASE WHEN alarm < 4 THEN raised + interval '40 minutes' END,
       30, 40, CASE alarm WHEN 5 THEN 'anna' END, CASE alarm WHEN 5 THEN raised + interval '5 minutes' END, CASE alarm WHEN 5 THEN raised + interval '15 minutes' END,
       CASE alarm WHEN 5 THEN raised + interval '5 minutes' END, 'heartbeat-events', 0, alarm, alarm, CASE WHEN alarm NOT IN (4, 5) THEN alarm END
  FROM (SELECT alarm, now() - interval '2 hours' + min(minute) * interval '1 minute' AS raised FROM happened GROUP BY alarm) AS first;
DROP TABLE happened`

func alarmPanel(t *testing.T, pool *pgxpool.Pool, title string, from, to time.Time, step time.Duration) queryResult {
	t.Helper()
	for _, p := range readDashboard(t, "alarms.json").Panels {
		if p.Title == title {
			return runQuery(t, pool, expand(p.Targets[0].RawSQL, span{from: from, to: to, interval: step}))
		}
	}
	t.Fatalf("there is no panel %q", title)
	return queryResult{}
}

func TestAlarmPanelsShowWhatHappened(t *testing.T) {
	t.Parallel()
	pool := newFleet(t, 1).pool
	pgtest.Exec(t, pool, alarmRows)
	pgtest.Exec(t, pool, `
INSERT INTO silences (customer_id, since, kafka_topic, kafka_partition, kafka_offset)
VALUES ('CUST_00001', now(), 'heartbeat-events', 0, 1), ('CUST_00002', now(), 'heartbeat-events', 0, 2)`)
	now := time.Now().UTC()
	from := now.Add(-24 * time.Hour)
	for title, want := range map[string]any{
		"Open Alarms":    int64(3),
		"Need Attention": int64(3),
		// The acknowledgements that count took 1, 2, 3, 5 and 8 minutes.
		"Time to Acknowledge, Median":          180.0,
		"Time to Acknowledge, 95th Percentile": 60 * (5 + 0.8*3),
		// Six alarms, and two people acted.
		"Alarms per Operator-Day": 3.0,
		"Silent Customers":        int64(2),
	} {
		if got := alarmPanel(t, pool, title, from, now, time.Hour).rows[0][0]; got != want {
			t.Errorf("panel %q shows %v, want %v", title, got, want)
		}
	}
	hours := alarmPanel(t, pool, "Alarms per Hour by Condition", from, now, time.Hour)
	total := map[string]float64{}
	for _, row := range hours.rows {
		for i, name := range hours.names[1:] {
			total[name] += row[i+1].(float64)
		}
	}
	if total["rate_high"] != 2 || total["rate_low"] != 3 || total["bad_signal"] != 1 || total["silent"] != 0 {
		t.Errorf("alarms per hour add up to %v, want 2 rate_high, 3 rate_low, 1 bad_signal", total)
	}
	if halves := alarmPanel(t, pool, "Alarms per Hour by Condition", from, now, 30*time.Minute); halves.rows[0][1] != 4.0 {
		t.Errorf("two alarms in half an hour are shown as %v an hour, want 4", halves.rows[0][1])
	}
	var medians []float64
	for _, row := range alarmPanel(t, pool, "Time to Acknowledge", from, now, 24*time.Hour).rows {
		medians = append(medians, row[1].(float64))
	}
	if len(medians) == 0 || medians[0] <= 0 {
		t.Errorf("the medians of the hours are %v", medians)
	}
	var states [][2]any
	for _, row := range alarmPanel(t, pool, "Open Alarms, Worst First", from, now, time.Hour).rows {
		states = append(states, [2]any{row[0], row[3]})
	}
	want := [][2]any{{"CUST_00004", "not acknowledged"}, {"CUST_00006", "ended, unseen"}, {"CUST_00005", "not acknowledged"}}
	if len(states) != len(want) {
		t.Fatalf("the list shows %v, want %v", states, want)
	}
	for i, state := range states {
		if state != want[i] {
			t.Errorf("row %d of the list shows %v, want %v", i, state, want[i])
		}
	}
}

func TestMessagePanelCountsEachState(t *testing.T) {
	t.Parallel()
	pool := newFleet(t, 1).pool
	pgtest.Exec(t, pool, `
INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, body, created_at, next_attempt_at, state, ended_at, attempts, error)
SELECT gen_random_uuid(), destination, 'raised', 'high', '{}', 1, '', now() - age, now(), state, CASE WHEN state <> 'pending' THEN now() END, attempts, error
  FROM (VALUES ('ward', interval '1 hour', 'sent', 1, ''), ('ward', interval '2 hours', 'dead', 7, 'the receiver answered 503'), ('ward', interval '3 hours', 'withdrawn', 2, 'older'),
               ('doctor', interval '1 hour', 'pending', 1, ''), ('doctor', interval '48 hours', 'sent', 1, '')) AS given (destination, age, state, attempts, error)`)
	now := time.Now().UTC()
	var got []string
	for _, row := range alarmPanel(t, pool, "Messages by Destination", now.Add(-24*time.Hour), now, time.Hour).rows {
		got = append(got, fmt.Sprintf("%v %t %v", row[:6], row[6] == nil, row[7]))
	}
	want := []string{"[doctor 0 1 0 0 1] false ", "[ward 1 0 1 1 10] true the receiver answered 503"}
	if !slices.Equal(got, want) {
		t.Errorf("the panel shows %q, want %q", got, want)
	}
}

// No acknowledgement is no time: 0 seconds would say that everybody is at once there.
func TestAlarmPanelsShowNoTimeWithoutAnAcknowledgement(t *testing.T) {
	t.Parallel()
	pool, now := newFleet(t, 1).pool, time.Now().UTC()
	for title, want := range map[string]any{"Open Alarms": int64(0), "Need Attention": int64(0), "Time to Acknowledge, Median": nil, "Alarms per Operator-Day": 0.0} {
		if got := alarmPanel(t, pool, title, now.Add(-time.Hour), now, time.Hour).rows[0][0]; got != want {
			t.Errorf("panel %q shows %v, want %v", title, got, want)
		}
	}
}
