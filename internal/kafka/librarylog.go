package kafka

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// libraryLog carries the Kafka library's own messages one step quieter than it means them: its Info tells the story
// of every metadata request and rebalance, which only someone who debugs wants to read. Muted, all of it is Debug.
type libraryLog struct {
	log   *slog.Logger
	level kgo.LogLevel
	muted atomic.Bool
}

func newLibraryLog(log *slog.Logger) *libraryLog {
	level := kgo.LogLevelWarn
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = kgo.LogLevelInfo
	}
	return &libraryLog{log: log, level: level}
}

// Level implements kgo.Logger.
func (l *libraryLog) Level() kgo.LogLevel { return l.level }

// Log implements kgo.Logger.
func (l *libraryLog) Log(level kgo.LogLevel, message string, attributes ...any) {
	severity := slog.LevelDebug
	switch {
	case l.muted.Load():
	case level == kgo.LogLevelError:
		severity = slog.LevelError
	case level == kgo.LogLevelWarn:
		severity = slog.LevelWarn
	}
	l.log.Log(context.Background(), severity, message, attributes...)
}
