// Package outbox keeps what notifiers do in PostgreSQL: it routes the events that batches and operators have committed, turns them
// into messages whose bytes are made once, leases messages for sending, and records how each attempt ended.
//
// It refuses to decide who hears of an event and when (internal/notify does), to send, and to read a clock: callers pass the database's.
// A batch only writes history; what goes wrong here cannot stop it.
//
// Any number of processes may use a Store. Routing is one transaction under a lock that goes with it, so one process routes at a
// time: the throttle counts for all, and messages about one alarm are made in the order of its events. A lease outlives a killed
// process by its 45 s; then another sends the same bytes under the same id. An event stays queued until its message is taken, so a
// message that certainly was not can be withdrawn and its events told with what came since. It stands behind the path of a reading.
package outbox
