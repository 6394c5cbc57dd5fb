// Package live holds the newest value of every customer and hands what changed to any number of viewers.
//
// A Hub is fed by one or more goroutines through Observe and closes a frame each tick. A viewer owns nothing but a Cursor:
// it asks for what changed after it, at its own rate. A viewer that keeps up shares one frame with all the others; one that
// does not is given the newest value of each cell it missed, so it sees fewer intermediate values and never a stale
// last one. Alerts are events, not values: they stay in a bounded ring, numbered, for whoever comes back.
//
// It refuses to push: there is no queue per viewer, so a viewer that never reads costs no memory and no time, and there is no
// channel that one goroutine closes while another sends on it. It refuses to store, to classify beyond the display
// states, to decide who is silent (SetSilent says so), and to grow past Options.MaxCustomers.
//
// All methods may be called from any goroutine. On the path of a reading it stands beside the database: what it shows
// was read from the topic, not from the tables.
package live
