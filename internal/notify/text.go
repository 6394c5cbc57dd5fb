package notify

import (
	"fmt"
	"strings"
	"time"
)

// Title says in one line what a message is about. It holds nothing that a person wrote.
func Title(message *Message) string {
	switch message.Type {
	case Test:
		return "Heartbeat: test"
	case Digest:
		first := &message.Entries[0].Alarm
		if message.Storm {
			return fmt.Sprintf("Heartbeat: storm, %d alarms changed, the worst: %s of %s, %s", len(message.Entries), first.Condition, first.Subject, first.Priority)
		}
		return fmt.Sprintf("Heartbeat: %d alarms changed: %s, %s", len(message.Entries), first.Condition, message.Priority)
	default:
		return "Heartbeat: " + line(&message.Entries[0])
	}
}

// line says what has become of an alarm.
func line(entry *Entry) string {
	a := &entry.Alarm
	text := fmt.Sprintf("%s: %s of %s, %s", entry.Type, a.Condition, a.Subject, a.Priority)
	if entry.Type == Cleared && a.Open {
		text += ", not seen by anyone"
	}
	if len(entry.UndeliveredTo) > 0 {
		text += " (not delivered to " + strings.Join(entry.UndeliveredTo, ", ") + ")"
	}
	return text
}

// Text returns a message as plain text, as a mail has it.
func (w Words) Text(message *Message) string {
	if message.Type == Test {
		return "A test: no alarm is behind this message.\n"
	}
	var b strings.Builder
	for i := range message.Entries[:min(len(message.Entries), maxListed)] {
		entry := &message.Entries[i]
		a := &entry.Alarm
		fmt.Fprintf(&b, "%s\n  since %s", line(entry), a.Since.UTC().Format(time.RFC3339))
		if !a.ClearedAt.IsZero() {
			fmt.Fprintf(&b, ", ended %s", a.ClearedAt.UTC().Format(time.RFC3339))
		}
		if w.WithValues {
			fmt.Fprintf(&b, ", %d bpm, limit %d, peak %d", a.Value, a.Limit, a.Peak)
		}
		fmt.Fprintf(&b, "\n  alarm %s, events: %s\n", a.ID, join(entry.Events))
		if link := w.Link(a); link != "" {
			fmt.Fprintf(&b, "  %s\n", link)
		}
	}
	if more := len(message.Entries) - maxListed; more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

func join(types []Type) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// Details returns what a webhook gets as data, and a link to the console, empty without one.
func (w Words) Details(message *Message) (details any, link string) {
	switch message.Type {
	case Test:
		return nil, ""
	case Digest:
		return w.digest(message), w.ConsoleURL
	default:
		return w.alarm(&message.Entries[0]), w.Link(&message.Entries[0].Alarm)
	}
}

// Annotations returns what an Alertmanager shows beside the labels of an alarm.
func (w Words) Annotations(a *Alarm) map[string]string {
	state := "active"
	switch {
	case !a.Open:
		state = "closed"
	case !a.ClearedAt.IsZero():
		state = "ended, not seen by anyone"
	case a.Acknowledged:
		state = "acknowledged"
	case a.Snoozed:
		state = "snoozed"
	}
	annotations := map[string]string{
		"summary": fmt.Sprintf("%s of %s, %s", a.Condition, a.Subject, a.Priority), "priority": a.Priority.String(), "state": state,
	}
	if w.WithValues {
		annotations["value"], annotations["limit"] = fmt.Sprint(a.Value), fmt.Sprint(a.Limit)
	}
	return annotations
}
