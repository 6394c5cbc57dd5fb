package alarmapi

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/auth"
	"heartbeat/internal/httpserver"
)

// Filters are the parameters of a list of alarms.
var Filters = []string{
	"state", "unacknowledged", "condition", "priority", "subject", "cohort", "person", "from", "to", "after", "limit", "format", "download",
}

const (
	maxAlarms      = 1000
	maxAlarmExport = 10_000
)

type alarmsBody struct {
	Alarms []alarm.Alarm `json:"alarms"`
	Next   *string       `json:"next"` // what to ask for with after=, null on the last page
}

func (a *API) List(w http.ResponseWriter, r *http.Request) error {
	q := httpserver.NewQuery(r)
	format := q.OneOf("format", "json", "csv")
	download := q.OneOf("download", "1", "0") == "1"
	fallback, most := 100, maxAlarms
	if format == "csv" || download {
		fallback, most = maxAlarmExport, maxAlarmExport
	}
	query := queryOf(q)
	query.Limit = q.Limit(fallback, most)
	if q.Err != nil {
		return q.Err
	}
	now := time.Now()
	alarms, err := a.Alarms.List(r.Context(), query, now)
	if err != nil {
		return err
	}
	body := alarmsBody{Alarms: alarms}
	if len(alarms) == query.Limit {
		body.Next = new(alarm.CursorOf(&alarms[len(alarms)-1], now).String())
	}
	if format == "csv" || download {
		if format == "" {
			format = "json"
		}
		w.Header().Set("Content-Disposition", `attachment; filename="alarms_`+now.UTC().Format("20060102T150405Z")+`.`+format+`"`)
	}
	if format == "csv" {
		return writeAlarmsCSV(w, alarms)
	}
	return httpserver.WriteJSON(w, body)
}

// alarms reads the filters of a list.
func queryOf(q *httpserver.Query) alarm.Query {
	query := alarm.Query{
		Filter:         alarm.Filter(q.OneOf("state", names(alarm.Filters[:])...)),
		Unacknowledged: q.OneOf("unacknowledged", "true", "false") == "true",
		Condition:      alarm.Condition(q.OneOf("condition", names(alarm.Conditions[:])...)),
		Subject:        q.Text("subject"),
		Cohort:         q.Text("cohort"),
		Person:         q.Text("person"),
		From:           q.Time("from", time.Time{}),
		To:             q.Time("to", time.Time{}),
	}
	if query.Filter == "" {
		query.Filter = alarm.FilterOpen
	}
	if name := q.OneOf("priority", "high", "medium", "low"); name != "" {
		query.Priority, _ = alarm.ParsePriority(name) // one of them
	}
	if text := q.Get("after"); text != "" {
		cursor, err := alarm.ParseCursor(text)
		if err != nil {
			q.Fail("after is not a cursor that an earlier page returned")
		}
		query.After = &cursor
	}
	return query
}

func names[T ~string](all []T) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = string(one)
	}
	return texts
}

// writeAlarmsCSV writes one line for each alarm. A text that a spreadsheet would take for a formula gets a quote before it.
func writeAlarmsCSV(w http.ResponseWriter, alarms []alarm.Alarm) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	lines := csv.NewWriter(w)
	lines.UseCRLF = true
	_ = lines.Write([]string{
		"alarm_id", "subject", "condition", "priority", "state", "raised_at", "cleared_at", "closed_at", "value", "peak", "limit", "recurrences",
		"acknowledged_by", "acknowledged_at", "assigned_to", "note",
	})
	for i := range alarms {
		a := &alarms[i]
		_ = lines.Write([]string{
			a.ID.String(), a.Subject, string(a.Condition), a.Priority.String(), string(a.Phase()), csvTime(a.RaisedAt), csvTime(a.ClearedAt), csvTime(a.ClosedAt),
			csvNumber(a.Value), csvNumber(a.Peak), csvNumber(a.Limit), strconv.Itoa(int(a.Recurrences)),
			plain(a.AcknowledgedBy), csvTime(a.AcknowledgedAt), plain(a.AssignedTo), plain(a.Note),
		})
	}
	lines.Flush() // a client that left is no failure of ours
	return nil
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

func csvNumber(n int32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

func plain(text string) string {
	if text != "" && (text[0] == '=' || text[0] == '+' || text[0] == '-' || text[0] == '@' || text[0] == '\t' || text[0] == '\r') {
		return "'" + text
	}
	return text
}

type alarmBody struct {
	alarm.Alarm
	History []alarm.Event `json:"history"`
}

func (a *API) Show(w http.ResponseWriter, r *http.Request) error {
	id, err := alarm.ParseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	held, err := a.Alarms.Alarm(r.Context(), id)
	if err != nil {
		return err
	}
	if err := auth.AuditRead(r, held.Subject); err != nil {
		return err
	}
	history, err := a.Alarms.History(r.Context(), id)
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, alarmBody{held, history})
}
