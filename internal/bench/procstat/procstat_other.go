//go:build !linux

package procstat

import "time"

// ProcessTime is not available here.
func ProcessTime(int) time.Duration { return 0 }

// FamilyTime is not available here.
func FamilyTime(int) time.Duration { return 0 }

// OwnTime is not available here.
func OwnTime() time.Duration { return 0 }

// PostmasterOf is not available here.
func PostmasterOf(int) int { return 0 }

// IdleTime is not available here.
func IdleTime() time.Duration { return 0 }

// Sync is not available here.
func Sync() {}

// ResidentPeak is not available here.
func ResidentPeak(int) int64 { return 0 }

// MachineMemory is not available here.
func MachineMemory() int64 { return 0 }

// ProcessorName is not available here.
func ProcessorName() string { return "" }

// LoadAverage is not available here.
func LoadAverage() float64 { return 0 }

// ListenerOf is not available here.
func ListenerOf(int) int { return 0 }
