package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"heartbeat/internal/alarm"
)

// Words says how messages are worded.
type Words struct {
	ConsoleURL string
	WithValues bool // the heart rate and the limit
}

// maxListed bounds how many alarms a message lists; the others are counted.
const maxListed = 50

type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

type alarmData struct {
	AlarmID   string     `json:"alarm_id"`
	Version   int64      `json:"version"`
	Subject   string     `json:"subject"`
	Condition string     `json:"condition"`
	Priority  string     `json:"priority"`
	Cohort    string     `json:"cohort,omitempty"`
	Tier      int16      `json:"tier"`
	Events    []Type     `json:"events"`
	Since     time.Time  `json:"since"`
	ClearedAt *time.Time `json:"cleared_at,omitempty"`
	// UndeliveredTo names destinations that were called before and could not be reached.
	UndeliveredTo []string `json:"undelivered_to,omitempty"`

	URL   string `json:"url,omitempty"`
	Value int32  `json:"value,omitempty"`
	Peak  int32  `json:"peak,omitempty"`
	Limit int32  `json:"limit,omitempty"`
}

type digestData struct {
	Text     string       `json:"text"`
	Priority string       `json:"priority"`
	Storm    bool         `json:"storm"`
	Counts   map[Type]int `json:"counts"`
	Alarms   []alarmData  `json:"alarms"`
	More     int          `json:"more"` // alarms that are not listed
	URL      string       `json:"url,omitempty"`
}

// JSON returns a message as JSON, as a webhook gets it.
func (w Words) JSON(message *Message) ([]byte, error) {
	b := body{Type: "alarm." + string(message.Type), Timestamp: message.At.UTC()}
	switch message.Type {
	case Test:
		b.Type, b.Data = string(Test), map[string]string{"text": "A test: no alarm is behind this message."}
	case Digest:
		b.Type, b.Data = string(Digest), w.digest(message)
	default:
		b.Data = w.alarm(&message.Entries[0])
	}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return text, nil
}

func (w Words) alarm(entry *Entry) alarmData {
	a := &entry.Alarm
	data := alarmData{
		AlarmID: a.ID.String(), Version: a.Version, Subject: a.Subject, Condition: string(a.Condition), Priority: a.Priority.String(),
		Cohort: a.Cohort, Tier: entry.Tier, Events: entry.Events, Since: a.Since.UTC(), URL: w.Link(a), UndeliveredTo: entry.UndeliveredTo,
	}
	if !a.ClearedAt.IsZero() {
		cleared := a.ClearedAt.UTC()
		data.ClearedAt = &cleared
	}
	if w.WithValues {
		data.Value, data.Peak, data.Limit = a.Value, a.Peak, a.Limit
	}
	return data
}

func (w Words) digest(message *Message) digestData {
	data := digestData{
		Priority: message.Priority.String(), Storm: message.Storm, Counts: map[Type]int{}, URL: w.ConsoleURL,
		More: max(0, len(message.Entries)-maxListed),
	}
	for i := range message.Entries {
		entry := &message.Entries[i]
		data.Counts[entry.Type]++
		if i < maxListed {
			data.Alarms = append(data.Alarms, w.alarm(entry))
		}
	}
	data.Text = Title(message)
	return data
}

// Link returns the console's page of an alarm's subject, empty without a console.
func (w Words) Link(a *Alarm) string {
	if w.ConsoleURL == "" {
		return ""
	}
	if a.Condition == alarm.Outage || a.Condition == alarm.Lag {
		return w.ConsoleURL + "/#/alarms"
	}
	return w.ConsoleURL + "/#/customer/" + url.PathEscape(a.Subject)
}
