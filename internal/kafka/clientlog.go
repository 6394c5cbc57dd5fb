package kafka

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kslog"
)

// clientLog filters the Kafka library's own messages. Its Info tells of every metadata request and rebalance, so it
// becomes Debug. While muted, every message is Debug. A message that repeats, as while a broker is away, is passed on
// once per LogInterval.
type clientLog struct {
	slog.Handler
	filter *logFilter // shared by the handlers that With derives
}

type logFilter struct {
	muted atomic.Bool

	mu    sync.Mutex           // guards shown
	shown map[string]time.Time // when each message was last passed on
}

// LogInterval is how long a repeated message stays quiet after it was logged.
const LogInterval = 30 * time.Second

// newClientLog returns a logger for the library, and the filter that mutes it.
func newClientLog(log *slog.Logger) (kgo.Logger, *logFilter) {
	filter := &logFilter{shown: map[string]time.Time{}}
	return kslog.New(slog.New(clientLog{log.Handler(), filter})), filter
}

// Enabled implements slog.Handler. The library's Debug messages are never wanted, and its Info messages where Debug is.
func (l clientLog) Enabled(ctx context.Context, level slog.Level) bool {
	switch {
	case level < slog.LevelInfo:
		return false
	case level < slog.LevelWarn:
		return l.Handler.Enabled(ctx, slog.LevelDebug)
	default:
		return l.Handler.Enabled(ctx, level)
	}
}

// Handle implements slog.Handler.
func (l clientLog) Handle(ctx context.Context, record slog.Record) error {
	if record.Level < slog.LevelWarn || l.filter.muted.Load() || !l.filter.due(record.Message, record.Time) {
		record.Level = slog.LevelDebug
	}
	if !l.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (l clientLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	return clientLog{l.Handler.WithAttrs(attributes), l.filter}
}

// WithGroup implements slog.Handler.
func (l clientLog) WithGroup(name string) slog.Handler {
	return clientLog{l.Handler.WithGroup(name), l.filter}
}

// due reports whether a message was quiet for long enough, and if so records that it is logged now. The library's
// messages are constants.
func (f *logFilter) due(message string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.shown[message]) < LogInterval {
		return false
	}
	f.shown[message] = now
	return true
}
