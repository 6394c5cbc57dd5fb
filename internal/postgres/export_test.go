package postgres

import "time"

// SetPatience makes claims of the store wait shorter than they would for a person.
func (s *Store) SetPatience(d time.Duration) { s.patience = d }

// Missing returns the bounds of the partitions to add after end.
func Missing(end, now time.Time, step time.Duration) [][2]time.Time {
	var bounds [][2]time.Time
	for _, span := range missing(end, now, step) {
		bounds = append(bounds, [2]time.Time{span.from, span.to})
	}
	return bounds
}
