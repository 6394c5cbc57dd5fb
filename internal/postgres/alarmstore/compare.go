package alarmstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
)

// comparedAtOnce is how many alarms CompareHistory holds in memory, with their events.
const comparedAtOnce = 1000

// CompareHistory folds the history of every alarm with alarm.Fold and calls differs for each one whose row is not what the fold
// gives. It goes by the primary keys of both tables, some alarms at a time, so memory does not grow with the tables.
func CompareHistory(ctx context.Context, tx pgx.Tx, differs func(stored alarm.Alarm, detail string)) error {
	last := alarm.ID{}
	for {
		rows, err := tx.Query(ctx, `SELECT`+alarmColumns+` FROM alarms WHERE alarm_id > $1 ORDER BY alarm_id LIMIT $2`, last, comparedAtOnce)
		if err != nil {
			return fmt.Errorf("read alarms: %w", err)
		}
		alarms, err := pgx.CollectRows(rows, scanAlarm)
		if err != nil {
			return fmt.Errorf("read alarms: %w", err)
		}
		if len(alarms) == 0 {
			return nil
		}
		if err := compareSome(ctx, tx, alarms, differs); err != nil {
			return err
		}
		last = alarms[len(alarms)-1].ID
	}
}

// compareSome compares alarms in the order of their ids.
func compareSome(ctx context.Context, tx pgx.Tx, alarms []alarm.Alarm, differs func(alarm.Alarm, string)) error {
	ids := make([]alarm.ID, len(alarms))
	for i := range alarms {
		ids[i] = alarms[i].ID
	}
	rows, err := tx.Query(ctx, `SELECT`+eventColumns+` FROM alarm_events WHERE alarm_id = ANY ($1) ORDER BY alarm_id, version`, ids)
	if err != nil {
		return fmt.Errorf("read history of alarms: %w", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return fmt.Errorf("read history of alarms: %w", err)
	}
	for i := range alarms {
		count := slices.IndexFunc(events, func(e alarm.Event) bool { return e.Alarm != alarms[i].ID })
		if count < 0 {
			count = len(events)
		}
		if detail := compareOne(&alarms[i], events[:count]); detail != "" {
			differs(alarms[i], detail)
		}
		events = events[count:]
	}
	return nil
}

// compareOne returns what differs, empty where nothing does. Events do not repeat the subject and the condition of the row.
func compareOne(stored *alarm.Alarm, history []alarm.Event) string {
	if len(history) == 0 {
		return "has no events"
	}
	var folded alarm.Alarm
	history[0].Subject, history[0].Condition = stored.Subject, stored.Condition
	for _, event := range history {
		after, err := alarm.Fold(folded, event)
		if err != nil {
			return fmt.Sprintf("cannot have event %d, %s: %v", event.Version, event.Kind, err)
		}
		folded = after
	}
	if *stored == folded {
		return ""
	}
	return differingFields(stored, &folded)
}

func differingFields(stored, folded *alarm.Alarm) string {
	have, want := fields(stored), fields(folded)
	names := slices.Collect(maps.Keys(have))
	for name := range want {
		if _, ok := have[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var text bytes.Buffer
	for _, name := range names {
		if !bytes.Equal(have[name], want[name]) {
			fmt.Fprintf(&text, ", %s is %s, its events give %s", name, orNone(have[name]), orNone(want[name]))
		}
	}
	return string(bytes.TrimPrefix(text.Bytes(), []byte(", ")))
}

func fields(a *alarm.Alarm) (fields map[string]json.RawMessage) {
	text, err := json.Marshal(a)
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil {
		return map[string]json.RawMessage{"alarm": []byte(err.Error())}
	}
	return fields
}

func orNone(value json.RawMessage) json.RawMessage {
	if value == nil {
		return json.RawMessage("none")
	}
	return value
}
