package users

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of a password. Length is what makes one hard to guess, so no rule asks for digits or signs (NIST SP 800-63B).
const (
	MinPassword      = 12   // characters
	MaxPasswordBytes = 1024 // hashing a longer one would only cost time
)

// CheckPassword refuses a password that is too easy to guess or that a keyboard could not repeat. Its error never has the password.
func CheckPassword(name, password string) error {
	switch {
	case !utf8.ValidString(password):
		return errors.New("the password is not UTF-8")
	case len(password) > MaxPasswordBytes:
		return fmt.Errorf("the password has %d bytes: %d at most", len(password), MaxPasswordBytes)
	case strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("the password has a control character, such as a tab or a second line")
	}
	switch length := utf8.RuneCountInString(norm.NFC.String(password)); {
	case length < MinPassword:
		return fmt.Errorf("the password has %d characters: want %d or more", length, MinPassword)
	case strings.EqualFold(password, name):
		return errors.New("the password is the user's name")
	case strings.Count(password, password[:1]) == len(password):
		return errors.New("the password is one character over and over")
	}
	return nil
}

// normal returns the bytes to hash: the same characters give the same bytes on every keyboard.
func normal(password string) []byte { return norm.NFC.Bytes([]byte(password)) }
