// Package evaluate measures how well readings are turned into alarms: how often an alarm is false, how many episodes are
// missed, and how late an alarm is. It runs the detector over simulated people, whose truth is known, over readings from a
// file, or takes the alarms that somebody else has raised, and compares them with the labelled episodes.
//
// It does no I/O beyond the reader that it is given, uses no servers and no clock: equal options give equal results on any
// number of processors. Fleet runs a fleet on several goroutines; everything else belongs to one.
//
// It stands beside the path of a reading: the detector that it runs is the one of the pipeline, unchanged.
package evaluate
