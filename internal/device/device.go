package device

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"heartbeat/internal/heartbeat"
)

// Scope says whose readings a device may send.
type Scope string

// The scopes.
const (
	ForCustomer Scope = "customer" // of one customer
	ForCohort   Scope = "cohort"   // of the customers who are in a cohort at the moment
	ForAll      Scope = "all"      // of every customer
)

// Device is what sends readings with a token.
type Device struct {
	Name     string
	Scope    Scope
	Customer heartbeat.CustomerID // of ForCustomer
	Cohort   string               // of ForCohort
	Rate     float64              // readings a second; 0 is the gateway's default
}

// May reports whether the device may send readings of a customer, whose cohort the function tells.
func (d *Device) May(customer heartbeat.CustomerID, cohortOf func(heartbeat.CustomerID) string) bool {
	switch d.Scope {
	case ForCustomer:
		return customer == d.Customer
	case ForCohort:
		return d.Cohort != "" && cohortOf(customer) == d.Cohort
	}
	return d.Scope == ForAll
}

// The errors of looking up and changing devices.
var (
	ErrNotFound = errors.New("there is no such device")
	ErrExists   = errors.New("the device exists already: choose another name, also where it is revoked")
	ErrRevoked  = errors.New("the device is revoked for good: add another one")
)

// Bounds of what a device can be.
const (
	MaxRate    = 1_000_000 // readings a second
	MaxOverlap = 7 * 24 * time.Hour
	maxCohort  = 64 // bytes
)

var wellFormed = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// CleanName returns a name in the form in which it is stored: people type it in any case.
func CleanName(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// CheckName refuses a name that no device can have.
func CheckName(name string) error {
	if !wellFormed.MatchString(name) {
		return fmt.Errorf("device name %q: want 1 to 64 of a-z, 0-9 and . _ -, beginning with a letter or a digit", name)
	}
	return nil
}

// CheckCohort refuses the name of a cohort that cannot be one.
func CheckCohort(name string) error {
	if name == "" || len(name) > maxCohort || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("cohort %q: want 1 to %d bytes of UTF-8 without control characters", name, maxCohort)
	}
	return nil
}

// CheckRate refuses a rate that no device can be given.
func CheckRate(rate float64) error {
	if !(rate > 0 && rate <= MaxRate) {
		return fmt.Errorf("rate %v: want more than 0 and at most %d readings a second", rate, MaxRate)
	}
	return nil
}

// Registration is what is known of a device, its token aside.
type Registration struct {
	Name          string     `json:"name"`
	Scope         Scope      `json:"scope"`
	Customer      *string    `json:"customer_id"`
	Cohort        *string    `json:"cohort"`
	Rate          *float64   `json:"rate"` // readings a second; null: the gateway's default
	CreatedAt     time.Time  `json:"created_at"`
	RotatedAt     *time.Time `json:"rotated_at"`
	PreviousUntil *time.Time `json:"previous_until"` // until when the token before the rotation is valid too
	RevokedAt     *time.Time `json:"revoked_at"`     // null while the token is valid
}
