package alarmapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/auth"
	"heartbeat/internal/dryrun"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

// Trials try limits on stored readings, in the background and one at a time. *dryrun.Runner is one.
type Trials interface {
	Start(by string, proposed []alarm.Limit, over dryrun.Period, now time.Time) (dryrun.Job, error)
	Latest() (dryrun.Job, bool)
	Cancel(id int64)
}

// trialBody is what a client sends to try limits.
type trialBody struct {
	Limits []limitBody `json:"limits"`
	From   *time.Time  `json:"from"` // a day before To unless given
	To     *time.Time  `json:"to"`   // now unless given
}

// day is how much is tried unless the client says.
const day = 24 * time.Hour

func (b *trialBody) period(now time.Time) (dryrun.Period, error) {
	over := dryrun.Period{To: now}
	if b.To != nil {
		over.To = b.To.UTC()
	}
	over.From = over.To.Add(-day)
	if b.From != nil {
		over.From = b.From.UTC()
	}
	for name, at := range map[string]time.Time{"from": over.From, "to": over.To} {
		if at.Year() < 2000 || at.Year() > 9999 {
			return over, httpserver.BadRequestf("%s is outside the years 2000 to 9999 in UTC", name)
		}
	}
	switch length := over.To.Sub(over.From); {
	case length <= 0:
		return over, httpserver.BadRequestf("from is %s: want a time before to, %s", over.From.Format(time.RFC3339), over.To.Format(time.RFC3339))
	case length > dryrun.MaxSpan:
		return over, httpserver.BadRequestf("from and to are %v apart: want %v at most, or use heartbeat limits try", length, dryrun.MaxSpan)
	}
	return over, nil
}

func (b *trialBody) limits(author string) ([]alarm.Limit, error) {
	if len(b.Limits) == 0 || len(b.Limits) > dryrun.MaxLimits {
		return nil, httpserver.BadRequestf("limits has %d limits: want 1 to %d", len(b.Limits), dryrun.MaxLimits)
	}
	limits := make([]alarm.Limit, len(b.Limits))
	for i := range b.Limits {
		var err error
		if limits[i], err = b.Limits[i].limit(author); err != nil {
			return nil, err
		}
		checked := limits[i]
		checked.Reason = "dry run" // which needs none
		if err := checked.Check(); err != nil {
			return nil, err
		}
	}
	return limits, nil
}

// StartTrial starts a dry run, which ShowTrial shows. It sets no limit, so whoever may see limits may start one.
func (a *API) StartTrial(w http.ResponseWriter, r *http.Request) error {
	var body trialBody
	if err := httpserver.ReadBody(r, &body); err != nil {
		return err
	}
	now := time.Now().UTC()
	over, err := body.period(now)
	if err != nil {
		return err
	}
	actor := a.Actor(r)
	limits, err := body.limits(actor)
	if err != nil {
		return err
	}
	job, err := a.Trials.Start(actor, limits, over, now)
	if errors.Is(err, dryrun.ErrRunning) {
		return httpserver.NewProblem(httpserver.TrialRunning, "another dry run is under way: wait for it, or cancel it")
	}
	if err != nil {
		return err
	}
	a.Logger.Info("limits tried", "trial_id", job.ID, "limits", len(limits), "by", job.By)
	return httpserver.WriteJSON(w, job)
}

// ShowTrial shows the latest dry run: how far it is, and its result for ten minutes. There may be none.
func (a *API) ShowTrial(w http.ResponseWriter, _ *http.Request) error {
	var body struct {
		Trial *dryrun.Job `json:"trial"`
	}
	if job, ok := a.Trials.Latest(); ok {
		body.Trial = &job
	}
	return httpserver.WriteJSON(w, body)
}

// CancelTrial cancels a dry run: whoever started it may, and an operator.
func (a *API) CancelTrial(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return httpserver.BadRequestf("%.40q is not a dry run's number", r.PathValue("id"))
	}
	job, ok := a.Trials.Latest()
	if !ok || job.ID != id {
		return httpserver.NewProblem(httpserver.TrialNotFound, "dry run %d is not known: it may be long over", id)
	}
	if job.By != a.Actor(r) {
		if err := auth.RequireRole(r, users.Operator); err != nil {
			return err
		}
	}
	a.Trials.Cancel(id)
	return httpserver.WriteJSON(w, job)
}
