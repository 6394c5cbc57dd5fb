// Package simulate invents the events of a fleet of customers: mostly normal heart rates, some cardiac anomalies, a few
// sensor faults. A Fleet is one model of that; another one needs nothing but a Next like its.
//
// It refuses to do I/O, to log and to look at the clock: when an event happens and how fast events follow each other is
// the caller's business, and the same options give the same sequence of customers and heart rates. A Fleet belongs to
// one goroutine; each worker has its own.
//
// On the path of a reading it stands before everything else, in the place of real devices.
package simulate
