// Package alarmapi serves alarms and limits over HTTP: lists, histories, and what operators do.
//
// It refuses to decide what an action may do, which internal/alarm does, and who may act: its routes are the console's, which
// checks credentials and names the actor. An API may serve any number of requests at a time. It stands beside the path of a
// reading.
package alarmapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/suggest"
)

// AlarmStore lists alarms and acts on them. What it refuses it answers with an *alarm.Error.
type AlarmStore interface {
	List(ctx context.Context, query alarm.Query, now time.Time) ([]alarm.Alarm, error)
	Alarm(ctx context.Context, id alarm.ID) (alarm.Alarm, error)
	History(ctx context.Context, id alarm.ID) ([]alarm.Event, error)
	Act(ctx context.Context, id alarm.ID, action alarm.Action, now time.Time) (alarm.Alarm, error)
}

// LimitStore lists and changes the limits by which readings are judged. What it refuses it answers with an *alarm.Error.
type LimitStore interface {
	Limits(ctx context.Context, query alarm.LimitQuery, now time.Time) ([]alarm.Limit, error)
	SetLimit(ctx context.Context, limit alarm.Limit) (alarm.Limit, error)
	EndLimit(ctx context.Context, id int64, author, reason string) (alarm.Limit, error)
	SuggestLimits(ctx context.Context, customer heartbeat.CustomerID, utcOffset int, now time.Time) (suggest.Suggested, error)
}

// API has a handler for each route.
type API struct {
	Alarms AlarmStore
	Limits LimitStore
	Trials Trials
	Actor  func(*http.Request) string // names who sent a request
	Logger *slog.Logger
}

// Problem returns what a client is told of an *alarm.Error, and nil for any other error.
func Problem(err error) *httpserver.Problem {
	if refused, ok := errors.AsType[*alarm.Error](err); ok {
		return httpserver.NewProblem(httpserver.Code(refused.Code), "%s", refused.Detail)
	}
	return nil
}
