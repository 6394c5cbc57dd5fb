package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Group is what the broker says of a consumer group.
type Group struct {
	State    string // such as Stable, Empty or Dead (unknown)
	Protocol string // the protocol's type: consumer, or another program's such as connect
	Members  []GroupMember
}

// GroupMember is one client of a group.
type GroupMember struct {
	Client     string
	Host       string
	Ours       bool    // has the client id of Heartbeat
	Partitions []int32 // of our topic
}

// Group describes a consumer group.
func (c *Client) Group(ctx context.Context, name string) (Group, error) {
	groups, err := c.admin.DescribeGroups(ctx, name)
	if err != nil {
		return Group{}, fmt.Errorf("describe consumer group %s: %w", name, err)
	}
	described := groups[name]
	if errors.Is(described.Err, kerr.GroupIDNotFound) {
		return Group{State: "Dead"}, nil // what older brokers call a group that does not exist
	}
	if described.Err != nil {
		return Group{}, fmt.Errorf("describe consumer group %s: %w", name, described.Err)
	}
	group := Group{State: described.State, Protocol: described.ProtocolType}
	for _, member := range described.Members {
		group.Members = append(group.Members, GroupMember{
			Client:     member.ClientID,
			Host:       member.ClientHost,
			Ours:       member.ClientID == c.config.ClientID,
			Partitions: assignedPartitions(member, c.config.Topic),
		})
	}
	return group, nil
}

func assignedPartitions(member kadm.DescribedGroupMember, topic string) []int32 {
	assigned, ok := member.Assigned.AsConsumer()
	if !ok {
		return nil
	}
	for _, t := range assigned.Topics {
		if t.Topic == topic {
			return t.Partitions
		}
	}
	return nil
}
