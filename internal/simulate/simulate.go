// Package simulate invents the readings of a fleet of customers. It has two models:
//
//   - Fleet draws every reading independently: mostly normal rates, some cardiac anomalies, a few sensor faults.
//   - Population gives each customer a body whose heart rate varies as a person's does, a steady interval, and episodes
//     of illness, effort and device failure. The truth about every episode is known.
//
// The package does no I/O, writes no log and reads no clock: when readings are sent is the caller's business, and equal
// options give equal readings on one processor architecture. A Fleet or a Population belongs to one goroutine; several
// workers have one Fleet each, or one shard of a Population each.
//
// On the path of a reading it stands before everything else, in the place of real devices.
package simulate
