package users

import "fmt"

// Role says what an actor may do. A role may do all that the roles before it may.
type Role string

// The roles. Anyone is for routes that need no sign-in; no actor has it.
const (
	Anyone   Role = "anyone"
	Viewer   Role = "viewer"   // reads
	Operator Role = "operator" // acts on alarms, replays dead letters, sets the limits of one person
	Admin    Role = "admin"    // also sets the limits of cohorts and of the fleet
)

// Roles lists the roles that an actor can have, the least first.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

func (r Role) rank() int {
	for i, role := range [...]Role{Anyone, Viewer, Operator, Admin} {
		if r == role {
			return i + 1
		}
	}
	return 0
}

// Valid reports whether there is such a role.
func (r Role) Valid() bool { return r.rank() > 0 }

// May reports whether the role is at least another one. An unknown role may nothing.
func (r Role) May(least Role) bool {
	return r.rank() > 0 && least.rank() > 0 && r.rank() >= least.rank()
}

// ParseRole returns the role of an actor by its name.
func ParseRole(text string) (Role, error) {
	for _, role := range Roles() {
		if text == string(role) {
			return role, nil
		}
	}
	return "", fmt.Errorf("role %q: want viewer, operator or admin", text)
}
