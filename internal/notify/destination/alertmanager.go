package destination

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// alertmanager keeps a Prometheus Alertmanager informed of open alarms.
type alertmanager struct {
	words         notify.Words
	url           string
	authorization string
	client        *http.Client
}

func newAlertmanager(config *notify.Alertmanager, words notify.Words) (*alertmanager, error) {
	dialing, err := newDialing(&config.Dial)
	if err != nil {
		return nil, err
	}
	a := &alertmanager{words: words, url: strings.TrimRight(config.URL.Value(), "/") + "/api/v2/alerts", client: dialing.client()}
	if config.Authorization != nil {
		a.authorization = config.Authorization.Value()
	}
	return a, nil
}

const (
	// alertsAtOnce bounds the alerts of a request.
	alertsAtOnce = 500
	// openFor is how long an Alertmanager takes an alert for open without hearing of it again.
	openFor = 4 * time.Minute
)

// alert is a postable alert. Labels identify it, so they hold nothing that changes while an alarm is open.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (a *alertmanager) alert(subject *notify.Alarm, now time.Time) alert {
	posted := alert{
		Labels: map[string]string{
			"alertname": string(subject.Condition), "alarm_id": subject.ID.String(), "customer": subject.Subject,
		},
		Annotations:  a.words.Annotations(subject),
		StartsAt:     subject.Since.UTC(),
		EndsAt:       now.UTC().Add(openFor),
		GeneratorURL: a.words.Link(subject),
	}
	if subject.Cohort != "" {
		posted.Labels["cohort"] = subject.Cohort
	}
	if !subject.Open {
		posted.EndsAt = subject.ClearedAt.UTC()
		if !posted.EndsAt.After(posted.StartsAt) { // which is refused
			posted.EndsAt = posted.StartsAt.Add(time.Millisecond)
		}
	}
	return posted
}

// Post sends alarms in requests of at most alertsAtOnce. What is refused as wrong is sent again in halves, down to the alerts that
// are wrong: the receiver has taken the others, but does not say which.
func (a *alertmanager) Post(ctx context.Context, alarms []notify.Alarm, now time.Time) (result Result, rejected []alarm.ID) {
	for len(alarms) > 0 {
		part := alarms[:min(len(alarms), alertsAtOnce)]
		alarms = alarms[len(part):]
		alerts := make([]alert, len(part))
		for i := range part {
			alerts[i] = a.alert(&part[i], now)
		}
		result = a.post(ctx, alerts, now)
		switch {
		case result.Rejected && len(part) == 1:
			rejected = append(rejected, part[0].ID)
			result = Result{Code: result.Code}
		case result.Rejected:
			var more []alarm.ID
			if result, more = a.Post(ctx, part[:len(part)/2], now); result.Err == nil {
				rejected = append(rejected, more...)
				result, more = a.Post(ctx, part[len(part)/2:], now)
			}
			rejected = append(rejected, more...)
		}
		if result.Err != nil {
			return result, rejected
		}
	}
	return result, rejected
}

func (a *alertmanager) post(ctx context.Context, alerts []alert, now time.Time) Result {
	body, err := json.Marshal(alerts)
	if err != nil {
		return Result{Untaken: true, Err: fmt.Errorf("encode alerts: %w", err)}
	}
	return a.send(ctx, body, now)
}

func (a *alertmanager) send(ctx context.Context, body []byte, now time.Time) Result {
	header := http.Header{}
	if a.authorization != "" {
		header.Set("Authorization", a.authorization)
	}
	result := post(ctx, a.client, a.url, header, body, now)
	result.Rejected = result.Code == http.StatusBadRequest
	return result
}

// Encode makes the alerts of a message: a test, or what was queued while the destination was of another kind.
func (a *alertmanager) Encode(message *notify.Message) ([]byte, error) {
	alerts := []alert{}
	if message.Type == notify.Test {
		alerts = append(alerts, alert{
			Labels: map[string]string{"alertname": "heartbeat_test"}, Annotations: map[string]string{"summary": notify.Title(message)},
			StartsAt: message.At.UTC(), EndsAt: message.At.UTC().Add(time.Minute),
		})
	}
	for i := range message.Entries {
		alerts = append(alerts, a.alert(&message.Entries[i].Alarm, message.MadeAt))
	}
	text, err := json.Marshal(alerts)
	if err != nil {
		return nil, fmt.Errorf("encode alerts: %w", err)
	}
	return text, nil
}

func (a *alertmanager) Send(ctx context.Context, delivery Delivery, now time.Time) Result {
	if len(delivery.Body) == 0 || delivery.Body[0] != '[' {
		return Result{Rejected: true, Untaken: true, Err: errors.New("the message was made for a destination of another kind")}
	}
	return a.send(ctx, delivery.Body, now)
}
