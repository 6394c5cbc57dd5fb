package app

import (
	"context"
	"time"

	"heartbeat/internal/backoff"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
)

const caughtUpEvery = 200 * time.Millisecond

// describeTopic asks the broker for the topic in the words of package progress.
func describeTopic(ctx context.Context, client *kafka.Client) (*progress.Topic, error) {
	state, err := client.TopicState(ctx)
	if err != nil {
		return nil, err
	}
	return topicOf(state), nil
}

func topicOf(state kafka.TopicState) *progress.Topic {
	topic := &progress.Topic{Name: state.Name, ID: state.ID, Partitions: map[int32]progress.Bounds{}}
	for _, partition := range state.Partitions {
		topic.Partitions[partition.Number] = progress.Bounds{Start: partition.Start, End: partition.End}
	}
	return topic
}

// describeGroup asks the broker for the consumer group. An error is part of the description.
func describeGroup(ctx context.Context, client *kafka.Client, name string) *progress.Group {
	if name == "" {
		return &progress.Group{}
	}
	described, err := client.Group(ctx, name)
	group := &progress.Group{Name: name, State: described.State, Protocol: described.Protocol, Err: err}
	for _, member := range described.Members {
		group.Members = append(group.Members, progress.Member{
			Client: member.Client, Host: member.Host, Ours: member.Ours, Partitions: member.Partitions,
		})
	}
	return group
}

// awaitCaughtUp returns once everything is stored that the topic holds now, by whichever member of the group.
func awaitCaughtUp(ctx context.Context, client *kafka.Client, pool *postgres.Pool) error {
	target, err := describeTopic(ctx, client)
	if err != nil {
		return err
	}
	for {
		if rows, err := query.ListProgress(ctx, pool); err == nil {
			if lag, _ := progress.Lag(progress.Compare(target, rows)); lag == 0 {
				return nil
			}
		}
		if err := backoff.Sleep(ctx, caughtUpEvery); err != nil {
			return err
		}
	}
}
