package alarmfeed

import (
	"bytes"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/alarm"
)

// listed is the part of an alarm that a list shows, under the names of the API.
type listed struct {
	ID                alarm.ID        `json:"alarm_id"`
	Version           int64           `json:"version"`
	Subject           string          `json:"subject"`
	Condition         alarm.Condition `json:"condition"`
	Priority          alarm.Priority  `json:"priority"`
	CurrentPriority   alarm.Priority  `json:"current_priority"`
	Active            bool            `json:"active"`
	Stale             bool            `json:"stale,omitzero"`
	RaisedAt          time.Time       `json:"raised_at"`
	ActiveSince       time.Time       `json:"active_since"`
	OnsetAt           time.Time       `json:"onset_at"`
	ClearedAt         time.Time       `json:"cleared_at,omitzero"`
	Recurrences       int32           `json:"recurrences,omitzero"`
	Value             int32           `json:"value,omitzero"`
	Peak              int32           `json:"peak,omitzero"`
	Limit             int32           `json:"limit,omitzero"`
	Detail            string          `json:"detail,omitzero"`
	AcknowledgedBy    string          `json:"acknowledged_by,omitzero"`
	AcknowledgedAt    time.Time       `json:"acknowledged_at,omitzero"`
	AcknowledgedUntil time.Time       `json:"acknowledged_until,omitzero"`
	SnoozedBy         string          `json:"snoozed_by,omitzero"`
	SnoozedUntil      time.Time       `json:"snoozed_until,omitzero"`
	AssignedTo        string          `json:"assigned_to,omitzero"`
	Note              string          `json:"note,omitzero"`
	Tier              int16           `json:"tier,omitzero"`
}

func encodeAlarm(a *alarm.Alarm) ([]byte, error) {
	return json.Marshal(listed{
		ID: a.ID, Version: a.Version, Subject: a.Subject, Condition: a.Condition, Priority: a.Priority, CurrentPriority: a.CurrentPriority,
		Active: a.Active, Stale: a.Stale, RaisedAt: a.RaisedAt, ActiveSince: a.ActiveSince, OnsetAt: a.OnsetAt, ClearedAt: a.ClearedAt,
		Recurrences: a.Recurrences, Value: a.Value, Peak: a.Peak, Limit: a.Limit, Detail: a.Detail,
		AcknowledgedBy: a.AcknowledgedBy, AcknowledgedAt: a.AcknowledgedAt, AcknowledgedUntil: a.AcknowledgedUntil,
		SnoozedBy: a.SnoozedBy, SnoozedUntil: a.SnoozedUntil, AssignedTo: a.AssignedTo, Note: a.Note, Tier: a.Tier,
	})
}

// change is one event of the stream. The first event of a viewer resets its list.
type change struct {
	sequence uint64
	reset    bool
	total    int // open alarms, of which a list may show fewer
	open     [][]byte
	closed   []alarm.ID
}

func encodeChange(c change) []byte {
	size := 128 + 40*len(c.closed)
	for _, text := range c.open {
		size += len(text) + 1
	}
	b := make([]byte, 0, size)
	b = append(b, `{"sequence":`...)
	b = strconv.AppendUint(b, c.sequence, 10)
	b = append(b, `,"reset":`...)
	b = strconv.AppendBool(b, c.reset)
	b = append(b, `,"total":`...)
	b = strconv.AppendInt(b, int64(c.total), 10)
	b = append(b, `,"open":[`...)
	b = append(b, bytes.Join(c.open, []byte(","))...)
	b = append(b, `],"closed":[`...)
	for i, id := range c.closed {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, id.String()...)
		b = append(b, '"')
	}
	return append(b, "]}"...)
}
