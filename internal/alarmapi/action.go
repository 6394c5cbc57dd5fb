package alarmapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/httpserver"
)

// actionBody is what a client sends to act on one alarm, or on several in Alarms.
type actionBody struct {
	Expected int64  `json:"expected_version"`
	Note     string `json:"note"`
	Seconds  int64  `json:"for_seconds"` // of a snooze
	Assignee string `json:"assignee"`
	Alarms   []struct {
		ID       string `json:"alarm_id"`
		Expected int64  `json:"expected_version"`
	} `json:"alarms"` // of an action on several
}

const maxSnoozeSeconds = 24 * 60 * 60

// action returns the action that a body asks for.
func (b *actionBody) action(kind alarm.Kind, actor string) (alarm.Action, error) {
	switch {
	case b.Expected < 0:
		return alarm.Action{}, httpserver.BadRequestf("expected_version is %d: want 0 or more", b.Expected)
	case b.Seconds < 0:
		return alarm.Action{}, httpserver.BadRequestf("for_seconds is %d: want 1 or more", b.Seconds)
	case b.Seconds > maxSnoozeSeconds:
		return alarm.Action{}, &alarm.Error{Code: alarm.SnoozeTooLong, Detail: "for_seconds is longer than a day: no alarm may be snoozed for so long"}
	case len(b.Note) > alarm.MaxText || len(b.Assignee) > alarm.MaxName:
		return alarm.Action{}, &alarm.Error{Code: alarm.TextTooLong, Detail: fmt.Sprintf(
			"the note has %d bytes and the assignee %d: want %d and %d at most", len(b.Note), len(b.Assignee), alarm.MaxText, alarm.MaxName)}
	case kind != alarm.Snoozed && b.Seconds != 0:
		return alarm.Action{}, httpserver.BadRequestf("for_seconds belongs to a snooze only")
	case kind != alarm.Assigned && b.Assignee != "":
		return alarm.Action{}, httpserver.BadRequestf("assignee belongs to an assignment only")
	}
	return alarm.Action{
		Kind: kind, Actor: actor, Note: b.Note, For: time.Duration(b.Seconds) * time.Second, Assignee: b.Assignee, Expected: b.Expected,
	}, nil
}

// act returns the handler that does one kind of action to one alarm.
func (a *API) Act(kind alarm.Kind) httpserver.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := alarm.ParseID(r.PathValue("id"))
		if err != nil {
			return err
		}
		var body actionBody
		if err := httpserver.ReadBody(r, &body); err != nil {
			return err
		}
		action, err := body.action(kind, a.Actor(r))
		if err != nil {
			return err
		}
		if body.Alarms != nil {
			return httpserver.BadRequestf("alarms belongs to an action on several alarms only")
		}
		after, err := a.Alarms.Act(r.Context(), id, action, time.Now())
		if err != nil {
			return err
		}
		return httpserver.WriteJSON(w, after)
	}
}

// bulkKinds are the actions that can be done to several alarms at once.
var bulkKinds = map[string]alarm.Kind{
	"ack": alarm.Acknowledged, "snooze": alarm.Snoozed, "close": alarm.Closed, "assign": alarm.Assigned, "comment": alarm.Commented,
}

// actionResult is what became of one alarm.
type actionResult struct {
	ID    alarm.ID     `json:"alarm_id"`
	Alarm *alarm.Alarm `json:"alarm,omitzero"`
	Code  alarm.Code   `json:"code,omitzero"` // why it was refused
	Error string       `json:"error,omitzero"`
}

// actOnSeveral does an action to several alarms, each by itself: one that is refused does not hold the others up.
func (a *API) ActOnSeveral(w http.ResponseWriter, r *http.Request) error {
	kind, known := bulkKinds[r.PathValue("id")]
	if !known {
		return httpserver.BadRequestf("%.40q is no action: want ack, snooze, close, assign or comment", r.PathValue("id"))
	}
	var body actionBody
	if err := httpserver.ReadBody(r, &body); err != nil {
		return err
	}
	if len(body.Alarms) == 0 || len(body.Alarms) > maxAlarms {
		return httpserver.BadRequestf("alarms names %d alarms: want 1 to %d", len(body.Alarms), maxAlarms)
	}
	if body.Expected != 0 {
		return httpserver.BadRequestf("expected_version belongs to each of alarms")
	}
	// What is wrong with the request is found before anything is done.
	results := make([]actionResult, len(body.Alarms))
	actions := make([]alarm.Action, len(body.Alarms))
	for i, one := range body.Alarms {
		var err error
		if results[i].ID, err = alarm.ParseID(one.ID); err != nil {
			return err
		}
		body.Expected = one.Expected
		if actions[i], err = body.action(kind, a.Actor(r)); err != nil {
			return err
		}
	}
	for i := range results {
		after, err := a.Alarms.Act(r.Context(), results[i].ID, actions[i], time.Now())
		if refused, ok := errors.AsType[*alarm.Error](err); ok {
			results[i].Code, results[i].Error = refused.Code, refused.Detail
		} else if err != nil {
			return err
		} else {
			results[i].Alarm = &after
		}
	}
	return httpserver.WriteJSON(w, map[string][]actionResult{"results": results})
}
