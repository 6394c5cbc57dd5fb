// Package alarm is the lifecycle of an alarm: a condition of a subject that a person must look at. It holds the
// vocabulary, the state of an alarm, and Fold, which turns a state and an event into the next state.
//
// It refuses to read a clock, to do I/O and to decide when a condition holds: internal/detect decides that, and
// internal/postgres/alarmstore stores what Fold decides. Everything here is a value; nothing is shared.
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
