package silence

import "time"

// Numbers of an outage: OutagePercent of the customers and outageLeast of them at least. Source: alarms.md §2.
const (
	OutagePercent = 5
	outageLeast   = 5
	// outageEase divides the share at which an outage ends. Own choice: no flapping at the limit.
	outageEase = 2
	// outageNear divides the share at which personal alarms wait, because an outage may follow: of devices that report once a minute a
	// third is not 5 % before 10 s. Own choice.
	outageNear = 5
)

// A consumer that is behind by BehindAfter has lag, which ends once the consumer is behind by CaughtUpWithin at most. Sources:
// alarms.md §2; own choice.
const (
	BehindAfter    = 30 * time.Second
	CaughtUpWithin = 10 * time.Second
)

// Fleet is what all partitions of a topic say together, with the state of the fleet's alarms.
type Fleet struct {
	Report       // sums; Behind: any
	Unknown bool // a partition has not reported of late
	Outage  AlarmState
	Lag     AlarmState
}

// AlarmState is an alarm of the fleet as the database has it.
type AlarmState struct {
	Active bool
	Recent bool // not active, and ended so recently that it can be reopened
}

// Change is what becomes of an alarm.
type Change uint8

// The changes.
const (
	None Change = iota
	Raise
	Clear
)

// Decide returns what becomes of the fleet's alarms. Every partition decides by the same rows, so several may come to one result,
// of which the database takes the first. An outage ends only by what all partitions know: one that is behind counts no customer.
func (f *Fleet) Decide() (outage, lag Change) {
	switch {
	case !f.Outage.Active && f.beyond(f.Turned, 1):
		outage = Raise
	case f.Outage.Active && !f.Behind && !f.Unknown && !f.beyond(f.Turned, 1) && !f.beyond(f.Silent, outageEase):
		outage = Clear
	}
	switch {
	case !f.Lag.Active && f.Behind:
		lag = Raise
	case f.Lag.Active && !f.Behind:
		lag = Clear
	}
	return outage, lag
}

// beyond reports whether customers are more than the share of an outage, divided by ease.
func (f *Fleet) beyond(customers, ease int) bool {
	return customers*ease >= outageLeast && 100*ease*customers > OutagePercent*f.Watched
}

// MayFollow reports whether so many turned silent that an outage may follow.
func (f *Fleet) MayFollow() bool { return f.Turned >= outageLeast && f.beyond(f.Turned, outageNear) }

// HoldsBack reports whether personal alarms are held back, given what becomes of the outage.
func (f *Fleet) HoldsBack(outage Change) bool {
	return outage == Raise || f.Outage.Active && outage != Clear
}
