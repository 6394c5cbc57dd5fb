package users

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// User is a person who may use the console.
type User struct {
	Name         string     `json:"name"`
	Role         Role       `json:"role"`
	HasPassword  bool       `json:"has_password"` // without one the user signs in through a proxy only
	CreatedAt    time.Time  `json:"created_at"`
	PasswordAt   *time.Time `json:"password_at"`     // when the password was last set
	LastSignInAt *time.Time `json:"last_sign_in_at"` // with the password
	DisabledAt   *time.Time `json:"disabled_at"`     // null while the user may sign in
}

// The errors of looking up and changing users.
var (
	ErrNotFound = errors.New("there is no such user")
	ErrExists   = errors.New("the user exists already")
)

// Names of actors that are no users. No user may have one of them.
const (
	LocalName = "local"
	TokenName = "token"
)

var wellFormed = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)

// CleanName returns a name in the form in which it is stored: people type it in any case.
func CleanName(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// CheckName refuses a name that no user can have.
func CheckName(name string) error {
	switch {
	case slices.Contains([]string{LocalName, TokenName}, name):
		return fmt.Errorf("user name %q stands for requests without a user: choose another one", name)
	case !wellFormed.MatchString(name):
		return fmt.Errorf("user name %q: want 1 to 64 of a-z, 0-9 and . _ @ + -, beginning with a letter or a digit", name)
	}
	return nil
}
