package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"heartbeat/internal/readmodel"
	"heartbeat/internal/web"
)

// deliveries has one message that was given up, of the destination ward.
type deliveries struct{ readOnly bool }

func (deliveries) List(_ context.Context, state, destination string, _ int) ([]readmodel.Delivery, error) {
	if state != "" && state != "dead" || destination != "" && destination != "ward" {
		return []readmodel.Delivery{}, nil
	}
	code := 503
	return []readmodel.Delivery{{
		ID: uuid.MustParse(heldID), Destination: "ward", Type: "raised", Priority: "high", Alarms: 1, State: "dead", Attempts: 7, Code: &code,
		Error: "the receiver answered 503", CreatedAt: time.Unix(0, 0).UTC(),
	}}, nil
}

func (deliveries) Depths(context.Context, time.Time) ([]readmodel.Destination, int, error) {
	since := time.Unix(0, 0).UTC()
	return []readmodel.Destination{{Name: "ward", Dead: 1, Disabled: &since, Error: "the receiver answered 410"}}, 2, nil
}

func (d deliveries) Retry(_ context.Context, id uuid.UUID, destination string, _ time.Time) (int, error) {
	switch {
	case d.readOnly:
		return 0, readmodel.ErrReadOnly
	case id.String() == heldID, destination == "ward":
		return 1, nil
	default:
		return 0, nil
	}
}

func TestDeliveriesAreListedAndRetried(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	var listed struct {
		Deliveries []readmodel.Delivery
		Unrouted   int `json:"unrouted_events"`
	}
	for target, want := range map[string]int{"": 1, "?state=dead&destination=ward": 1, "?state=sent": 0} {
		if err := json.Unmarshal(get(server, "/api/v1/deliveries"+target).Body.Bytes(), &listed); err != nil || len(listed.Deliveries) != want || listed.Unrouted != 2 {
			t.Errorf("%q lists %+v, %v; want %d", target, listed, err, want)
		}
	}
	readOnly := newServer(t, func(o *web.Options) { o.Deliveries = deliveries{readOnly: true} })
	for target, want := range map[string]int{
		"/api/v1/deliveries/" + heldID + "/retry": http.StatusOK, "/api/v1/deliveries/7/retry": http.StatusBadRequest, "/api/v1/destinations/ward/retry": http.StatusOK,
	} {
		if w := do(server, httptest.NewRequest(http.MethodPost, target, nil)); w.Code != want {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, want)
		}
		if w := do(readOnly, httptest.NewRequest(http.MethodPost, target, nil)); want == http.StatusOK && w.Code != http.StatusNotImplemented {
			t.Errorf("%s on a database that takes no change: %d %s", target, w.Code, w.Body)
		}
	}
}
