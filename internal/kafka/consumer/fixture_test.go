package consumer_test

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"heartbeat/internal/kafka"
)

const topic = "heartbeat-events"

var (
	heartbeatKeys    = []kmsg.Key{kmsg.Heartbeat}
	errUnknownMember = kerr.UnknownMemberID
)

func configFor(cluster *kfake.Cluster) kafka.Config {
	return kafka.Config{Brokers: cluster.ListenAddrs(), Topic: topic}
}
