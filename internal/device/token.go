package device

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

const (
	tokenPrefix = "hb_" // by which people and secret scanners recognise a token
	tokenBytes  = 32
)

var tokenLength = len(tokenPrefix) + base64.RawURLEncoding.EncodedLen(tokenBytes)

// Hash is what is stored of a token. A fast hash is enough: a token is 256 random bits, which no guessing finds however fast the hash is,
// while a slow one, such as passwords need, would cost every request milliseconds.
type Hash [sha256.Size]byte

// HashToken returns the hash of a token.
func HashToken(token string) Hash { return sha256.Sum256([]byte(token)) }

// NewToken returns a new token.
func NewToken() string {
	var random [tokenBytes]byte
	rand.Read(random[:]) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}
