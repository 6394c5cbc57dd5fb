package users

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Parameters of argon2id that OWASP's Password Storage Cheat Sheet names as the least: 19 MiB, two passes, one lane.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	saltBytes   = 16
	keyBytes    = 32
)

// Bounds of what a stored hash may ask for, so that a row changed by hand cannot take a console's memory or time.
const (
	maxMemory  = 256 << 10
	maxTime    = 16
	maxThreads = 16
)

var errHash = errors.New("the stored password hash is not argon2id in PHC string format")

// hash is argon2id's result with what it was made from.
type hash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// HashPassword returns the argon2id hash of a password with a new salt, in PHC string format.
func HashPassword(password string) string {
	h := hash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	rand.Read(h.salt) // never fails
	h.key = h.of(password)
	return h.String()
}

// VerifyPassword reports whether a password is the one of a hash, in a time that does not depend on the password. It fails where the
// hash cannot be read.
func VerifyPassword(stored, password string) (bool, error) {
	h, err := parseHash(stored)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.of(password), h.key) == 1, nil
}

func (h hash) of(password string) []byte {
	return argon2.IDKey(normal(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
}

func (h hash) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, encode(h.salt), encode(h.key))
}

func parseHash(text string) (h hash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, errHash
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case saltErr != nil || keyErr != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64,
		h.memory < 8 || h.memory > maxMemory || h.time < 1 || h.time > maxTime || h.threads < 1 || h.threads > maxThreads,
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads):
		return h, errHash
	}
	return h, nil
}
