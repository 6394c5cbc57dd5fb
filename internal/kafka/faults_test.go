package kafka_test

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	heartbeatKeys    = []kmsg.Key{kmsg.Heartbeat}
	errUnknownMember = kerr.UnknownMemberID
)
