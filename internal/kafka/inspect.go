package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Brokers returns the addresses that the cluster's brokers advertise: where clients go after the first answer.
func (c *Client) Brokers(ctx context.Context) ([]string, error) {
	brokers, err := c.admin.ListBrokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brokers: %w", err)
	}
	var addresses []string
	for _, broker := range brokers {
		addresses = append(addresses, net.JoinHostPort(broker.Host, strconv.Itoa(int(broker.Port))))
	}
	return addresses, nil
}

// TopicConfig returns the topic's settings by name, such as retention.ms.
func (c *Client) TopicConfig(ctx context.Context) (map[string]string, error) {
	resources, err := c.admin.DescribeTopicConfigs(ctx, c.config.Topic)
	if err != nil {
		return nil, fmt.Errorf("describe settings of topic %s: %w", c.config.Topic, err)
	}
	settings := map[string]string{}
	for _, resource := range resources {
		if resource.Err != nil {
			return nil, fmt.Errorf("describe settings of topic %s: %w", c.config.Topic, resource.Err)
		}
		for _, setting := range resource.Configs {
			settings[setting.Key] = setting.MaybeValue()
		}
	}
	return settings, nil
}

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

// TopicMissing tells whether an error says that there is no such topic.
func TopicMissing(err error) bool { return errors.Is(err, kerr.UnknownTopicOrPartition) }
