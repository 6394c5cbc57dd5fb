package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// GroupMember is one consumer of a group.
type GroupMember struct {
	Client     string
	Host       string
	Partitions []int32 // of our topic
}

// Group returns the state of a consumer group, such as Stable, Empty or Dead (unknown), and its members.
func (c *Client) Group(ctx context.Context, name string) (state string, members []GroupMember, err error) {
	groups, err := c.admin.DescribeGroups(ctx, name)
	if err != nil {
		return "", nil, fmt.Errorf("describe consumer group %s: %w", name, err)
	}
	group := groups[name]
	if group.Err != nil {
		return "", nil, fmt.Errorf("describe consumer group %s: %w", name, group.Err)
	}
	for _, member := range group.Members {
		members = append(members, GroupMember{
			Client:     member.ClientID,
			Host:       member.ClientHost,
			Partitions: assignedPartitions(member, c.config.Topic),
		})
	}
	return group.State, members, nil
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
