package progress

import (
	"fmt"
	"slices"
	"strings"
)

// Group is what the broker says of the consumer group.
type Group struct {
	Name     string
	State    string // such as Stable, Empty or Dead
	Protocol string // the protocol's type: consumer, or another program's such as connect
	Members  []Member
	Err      error // why the broker does not say
}

// Member is one client of a group.
type Member struct {
	Client     string
	Host       string
	Ours       bool    // a Heartbeat consumer
	Partitions []int32 // of our topic
}

func (m Member) String() string {
	return fmt.Sprintf("%s at %s", m.Client, strings.TrimPrefix(m.Host, "/"))
}

// ConsumerProtocol is the type of the groups that consumers form.
const ConsumerProtocol = "consumer"

// Broken returns why no partition can be stored through this group, or nothing.
func (g *Group) Broken() string {
	switch {
	case g == nil:
		return ""
	case g.Name == "":
		return "the consumer group's id is empty: set KAFKA_GROUP_ID"
	case g.Err != nil:
		return "" // not known
	case len(g.Members) == 0:
		return fmt.Sprintf("consumer group %s has no members: start heartbeat consume", g.Name)
	case g.Protocol != "" && g.Protocol != ConsumerProtocol:
		return fmt.Sprintf("group %s is used by another program, with the protocol %q: set KAFKA_GROUP_ID to a group of its own", g.Name, g.Protocol)
	case !slices.ContainsFunc(g.Members, func(m Member) bool { return m.Ours }):
		return fmt.Sprintf("none of the members of consumer group %s is a Heartbeat consumer (%s): stop them, or set KAFKA_GROUP_ID to a group of its own",
			g.Name, g.names())
	default:
		return ""
	}
}

// Explain returns why the group would not store a partition, as far as the group shows.
func (g *Group) Explain(partition int32) string {
	if broken := g.Broken(); broken != "" || g == nil {
		return broken
	}
	switch member, assigned := g.Assigned(partition); {
	case g.Err != nil:
		return fmt.Sprintf("consumer group %s cannot be examined: %v", g.Name, g.Err)
	case !assigned:
		return fmt.Sprintf("consumer group %s (%s) assigns it to no member", g.Name, strings.ToLower(g.State))
	case !member.Ours:
		return fmt.Sprintf("it is assigned to %s, which is not a Heartbeat consumer: stop it, or set KAFKA_GROUP_ID to a group of its own", member)
	default:
		return fmt.Sprintf("it is assigned to %s: its log and its /readyz say why, or it writes to another database", member)
	}
}

// Assigned returns the member to which a partition is assigned.
func (g *Group) Assigned(partition int32) (Member, bool) {
	if g == nil {
		return Member{}, false
	}
	for _, member := range g.Members {
		if slices.Contains(member.Partitions, partition) {
			return member, true
		}
	}
	return Member{}, false
}

// namedMembers is how many members a message names.
const namedMembers = 3

func (g *Group) names() string {
	var names []string
	for _, member := range g.Members[:min(len(g.Members), namedMembers)] {
		names = append(names, member.String())
	}
	if more := len(g.Members) - namedMembers; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
