package postgres

import "time"

// SetPatience makes claims of the store wait shorter than they would for a person.
func (s *Store) SetPatience(d time.Duration) { s.patience = d }
