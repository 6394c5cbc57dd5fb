package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"heartbeat/internal/progress"
)

// Group describes a consumer group. An error is part of the description.
func (c *Client) Group(ctx context.Context, name string) *progress.Group {
	if name == "" {
		return &progress.Group{}
	}
	group := &progress.Group{Name: name}
	if err := c.describeGroup(ctx, group); err != nil {
		group.Err = fmt.Errorf("describe consumer group %s: %w", name, Advise(err))
	}
	return group
}

func (c *Client) describeGroup(ctx context.Context, group *progress.Group) error {
	groups, err := c.admin.DescribeGroups(ctx, group.Name)
	if err != nil {
		return err
	}
	described := groups[group.Name]
	if errors.Is(described.Err, kerr.GroupIDNotFound) {
		return c.describeNextGeneration(ctx, group)
	}
	if described.Err != nil {
		return described.Err
	}
	group.State, group.Protocol = described.State, described.ProtocolType
	for _, member := range described.Members {
		group.Members = append(group.Members, progress.Member{
			Client:     member.ClientID,
			Host:       member.ClientHost,
			Ours:       member.ClientID == c.config.ClientID,
			Partitions: assignedPartitions(member, c.config.Topic),
		})
	}
	return nil
}

// describeNextGeneration describes a group that is unknown to the classic protocol: one with a member that uses KIP-848, or none.
func (c *Client) describeNextGeneration(ctx context.Context, group *progress.Group) error {
	group.State = "Dead" // what older brokers call a group that does not exist
	groups, err := c.admin.DescribeConsumerGroups(ctx, group.Name)
	if err == nil {
		err = groups[group.Name].Err
	}
	if _, answered := errors.AsType[*kerr.Error](err); err != nil && !answered && ctx.Err() == nil || errors.Is(err, kerr.GroupIDNotFound) {
		return nil // no such group, or a broker that does not know the protocol
	}
	if err != nil {
		return err
	}
	group.State, group.Protocol = groups[group.Name].State, progress.ConsumerProtocol
	for _, member := range groups[group.Name].Members {
		group.Members = append(group.Members, progress.Member{
			Client:     member.ClientID,
			Host:       member.ClientHost,
			Ours:       member.ClientID == c.config.ClientID,
			Partitions: slices.Collect(maps.Keys(member.Assignment[c.config.Topic])),
		})
	}
	return nil
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
