package alarmapi

import (
	"net/http"
	"strconv"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/auth"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

type limitsBody struct {
	Limits []alarm.Limit `json:"limits"`
	Next   *int64        `json:"next"` // what to ask for with before=, null on the last page
}

func (a *API) ListLimits(w http.ResponseWriter, r *http.Request) error {
	q := httpserver.NewQuery(r)
	query := alarm.LimitQuery{
		Scope: q.OneOf("scope", "fleet", "cohort", "person"), Cohort: q.Text("cohort"), Customer: customer(q, "customer"),
		Ended: q.OneOf("ended", "true", "false") == "true", Before: q.ID("before"), Limit: q.Limit(100, 1000),
	}
	if q.Err != nil {
		return q.Err
	}
	limits, err := a.Limits.Limits(r.Context(), query, time.Now())
	if err != nil {
		return err
	}
	body := limitsBody{Limits: limits}
	if len(limits) == query.Limit {
		body.Next = &limits[len(limits)-1].ID
	}
	return httpserver.WriteJSON(w, body)
}

// SuggestLimits suggests limits for a customer, which are not in force.
func (a *API) SuggestLimits(w http.ResponseWriter, r *http.Request) error {
	q := httpserver.NewQuery(r)
	offset := 0
	if text := q.Get("utc_offset"); text != "" {
		var err error
		if offset, err = strconv.Atoi(text); err != nil || offset < -840 || offset > 840 {
			q.Fail("utc_offset is not a number of minutes from -840 to 840")
		}
	}
	id, err := heartbeat.ParseCustomerID(q.Get("customer"))
	if err != nil {
		q.Fail("customer is not a customer's id such as CUST_00042")
	}
	if q.Err != nil {
		return q.Err
	}
	suggested, err := a.Limits.SuggestLimits(r.Context(), id, offset, time.Now())
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, suggested)
}

// limitBody is a limit as clients send it.
type limitBody struct {
	Scope     string     `json:"scope"`
	Cohort    string     `json:"cohort"`
	Customer  string     `json:"customer_id"`
	Low       int32      `json:"low"`
	High      int32      `json:"high"`
	Hours     string     `json:"hours"`
	UTCOffset int        `json:"utc_offset"`
	Reason    string     `json:"reason"`
	From      *time.Time `json:"effective_from"`
	Until     *time.Time `json:"ends_at"`
}

func (b *limitBody) limit(author string) (alarm.Limit, error) {
	limit := alarm.Limit{
		Scope: b.Scope, Cohort: b.Cohort, Customer: b.Customer, Low: b.Low, High: b.High, Hours: b.Hours, UTCOffset: b.UTCOffset,
		Author: author, Reason: b.Reason,
	}
	for _, given := range [...]struct {
		name     string
		from, to *time.Time
	}{{"effective_from", b.From, &limit.EffectiveFrom}, {"ends_at", b.Until, &limit.EndsAt}} {
		switch {
		case given.from == nil:
		case given.from.IsZero(): // would stand for no time
			return limit, httpserver.BadRequestf("%s is outside the years 2000 to 9999 in UTC", given.name)
		default:
			*given.to = *given.from
		}
	}
	return limit, nil
}

// SetLimit sets a limit in the name of whoever sent the request.
func (a *API) SetLimit(w http.ResponseWriter, r *http.Request) error {
	var body limitBody
	if err := httpserver.ReadBody(r, &body); err != nil {
		return err
	}
	if err := requireRole(r, body.Scope); err != nil {
		return err
	}
	limit, err := body.limit(a.Actor(r))
	if err != nil {
		return err
	}
	set, err := a.Limits.SetLimit(r.Context(), limit)
	if err != nil {
		return err
	}
	a.Logger.Info("limit set", "limit_id", set.ID, "scope", set.Scope, "author", set.Author)
	return httpserver.WriteJSON(w, set)
}

func (a *API) EndLimit(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return httpserver.BadRequestf("%.40q is not a limit's number", r.PathValue("id"))
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := httpserver.ReadBody(r, &body); err != nil {
		return err
	}
	// A limit keeps its scope for ever, so what is read here still holds when the limit ends.
	held, err := a.Limits.Limits(r.Context(), alarm.LimitQuery{Before: id + 1, Limit: 1, Ended: true}, time.Now())
	if err != nil {
		return err
	}
	if len(held) == 1 && held[0].ID == id {
		if err := requireRole(r, held[0].Scope); err != nil {
			return err
		}
	}
	ended, err := a.Limits.EndLimit(r.Context(), id, a.Actor(r), body.Reason)
	if err != nil {
		return err
	}
	a.Logger.Info("limit ended", "limit_id", ended.ID, "by", ended.EndedBy)
	return httpserver.WriteJSON(w, ended)
}

// requireRole lets an operator change the limits of one person. Those of a cohort or of the fleet concern many, and take an administrator.
func requireRole(r *http.Request, scope string) error {
	if scope == "cohort" || scope == "fleet" {
		return auth.RequireRole(r, users.Admin)
	}
	return nil
}

func customer(q *httpserver.Query, name string) string {
	text := q.Get(name)
	if text == "" {
		return ""
	}
	if _, err := heartbeat.ParseCustomerID(text); err != nil {
		q.Fail("%s is not a customer's id such as CUST_00042", name)
	}
	return text
}
