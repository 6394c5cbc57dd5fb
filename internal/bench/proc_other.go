//go:build !linux

package bench

import "time"

// Only Linux tells all of this through files; elsewhere the report has no figures of processes.

func processTime(int) time.Duration { return 0 }

func familyTime(int) time.Duration { return 0 }

func postmasterOf(int) int { return 0 }

func ownTime() time.Duration { return 0 }

func idleTime() time.Duration { return 0 }

func settle() {}

func residentPeak(int) int64 { return 0 }

func machineMemory() int64 { return 0 }

func processorName() string { return "" }

func loadAverage() float64 { return 0 }

func listenerOf(int) int { return 0 }
