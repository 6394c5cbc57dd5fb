// Package alarm is the life of an alarm: a condition of a customer, or of the fleet, that a person must look at. It defines the
// events, the state of an alarm, and Fold, which turns a state and an event into the next state.
//
// It refuses an event that the state does not allow, and an action without an actor. It reads no clock and does no I/O, and it does not
// decide when a condition holds: internal/detect decides that for each reading, and Detected translates its transitions.
// internal/postgres/alarmstore stores what Fold returns, in the transaction of the readings or of the action.
//
// All values may be copied, and functions may be called from any goroutine; an Alarm itself has no lock.
//
// An alarm's state follows from its columns, and its columns from its events. The version is the number of its events.
//
//	stateDiagram-v2
//	    [*] --> active: raised
//	    active --> active: recurred, worsened, eased, stale, fresh
//	    active --> latched: cleared, high and never acknowledged
//	    active --> closed: cleared, otherwise
//	    latched --> active: recurred
//	    latched --> closed: acknowledged, closed
//	    closed --> active: reopened, the condition is back within 10 minutes
//	    note right of active
//	        acknowledged, acknowledgement_expired, snoozed, snooze_ended, escalated,
//	        assigned and commented change no phase
//	    end note
package alarm
