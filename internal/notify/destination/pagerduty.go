package destination

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// pagerDuty sends events to PagerDuty's Events API v2. A message is one event about one incident: that of its alarm, or that of a
// storm.
type pagerDuty struct {
	words  notify.Words
	url    string
	key    string
	client *http.Client
}

func newPagerDuty(config *notify.PagerDuty, words notify.Words) (*pagerDuty, error) {
	dialing, err := newDialing(&config.Dial)
	if err != nil {
		return nil, err
	}
	return &pagerDuty{words: words, url: config.URL.Value(), key: config.RoutingKey.Value(), client: dialing.client()}, nil
}

// event is what PagerDuty gets, without the routing key: a message is stored, and the key is a secret.
type event struct {
	Action    string        `json:"event_action"`
	DedupKey  string        `json:"dedup_key"`
	Payload   *eventPayload `json:"payload,omitempty"`
	Client    string        `json:"client,omitempty"`
	ClientURL string        `json:"client_url,omitempty"`
	Links     []eventLink   `json:"links,omitempty"`
}

type eventPayload struct {
	Summary   string    `json:"summary"`
	Source    string    `json:"source"`
	Severity  string    `json:"severity"`
	Timestamp time.Time `json:"timestamp"`
	Class     string    `json:"class,omitempty"`
	Group     string    `json:"group,omitempty"`
	Details   any       `json:"custom_details,omitempty"`
}

type eventLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// maxSummary is PagerDuty's limit, in characters.
const maxSummary = 1024

func (p *pagerDuty) Encode(message *notify.Message) ([]byte, error) {
	e := event{Action: string(message.State()), DedupKey: message.Key().String()}
	if message.State() == notify.Triggered {
		summary := []rune(notify.Title(message))
		details, link := p.words.Details(message)
		e.Payload = &eventPayload{
			Summary: string(summary[:min(len(summary), maxSummary)]), Source: "heartbeat", Severity: severity(message.Priority), Timestamp: message.At.UTC(), Details: details,
		}
		if len(message.Entries) == 1 {
			e.Payload.Class, e.Payload.Group = string(message.Entries[0].Alarm.Condition), message.Entries[0].Alarm.Cohort
		}
		e.Client, e.ClientURL = "Heartbeat", p.words.ConsoleURL
		if link != "" {
			e.Links = []eventLink{{link, "Heartbeat"}}
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return text, nil
}

func severity(priority alarm.Priority) string {
	switch priority {
	case alarm.High:
		return "critical"
	case alarm.Medium:
		return "warning"
	default:
		return "info"
	}
}

// Send adds the routing key to the stored bytes.
func (p *pagerDuty) Send(ctx context.Context, delivery Delivery, now time.Time) Result {
	if len(delivery.Body) < 2 || delivery.Body[0] != '{' {
		return Result{Rejected: true, Untaken: true, Err: errors.New("the message was made for a destination of another kind")}
	}
	body := append([]byte(`{"routing_key":"`+p.key+`",`), delivery.Body[1:]...)
	result := post(ctx, p.client, p.url, http.Header{}, body, now)
	result.Rejected = result.Code == http.StatusBadRequest
	return result
}
