package readmodel

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// Delivery is a message to a destination.
type Delivery struct {
	ID            uuid.UUID  `json:"delivery_id"`
	Destination   string     `json:"destination"`
	Type          string     `json:"type"`
	Priority      string     `json:"priority"`
	Alarms        int        `json:"alarms"`
	State         string     `json:"state"` // pending, sent, dead or withdrawn
	Attempts      int        `json:"attempts"`
	Code          *int       `json:"code"`
	Error         string     `json:"error"`
	CreatedAt     time.Time  `json:"created_at"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	EndedAt       *time.Time `json:"ended_at"`
}

// Destination is where messages go, and what waits for it.
type Destination struct {
	Name     string     `json:"name"`
	Queued   int        `json:"queued"`         // events that are not in a message yet, or states that it does not have yet
	Pending  int        `json:"pending"`        // messages
	Dead     int        `json:"dead"`           // messages of the last day
	Oldest   *time.Time `json:"oldest"`         // of what is not delivered though it could be; null for nothing
	Storm    bool       `json:"storm"`          // it gets digests only
	Disabled *time.Time `json:"disabled_since"` // because its receiver wants no more
	Error    string     `json:"error"`          // why it is disabled, or why states were not taken
}

// ErrReadOnly means that the database takes no change from this process.
var ErrReadOnly = errors.New("the database takes no change from this process: let it sign in as heartbeat_operator, and to the primary server")
