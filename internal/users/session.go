package users

import (
	"crypto/sha256"
	"time"
)

// SessionHash is what is stored of a session's secret.
type SessionHash [sha256.Size]byte

// Session is a session of the console that has not ended.
type Session struct {
	Hash SessionHash
	User string // empty: it was begun with the token
	Role Role   // of the user, as it is now
	Ends time.Time
}
