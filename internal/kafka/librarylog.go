package kafka

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// libraryLog carries the Kafka library's own messages one step quieter than it means them: its Info tells the story
// of every metadata request and rebalance, which only someone who debugs wants to read. Muted, all of it is Debug. A
// message that comes again and again, as while a broker is away, is heard once in a while.
type libraryLog struct {
	log   *slog.Logger
	level kgo.LogLevel
	muted atomic.Bool

	mu    sync.Mutex           // guards heard
	heard map[string]time.Time // when each message was last passed on
}

// repeatAfter is how long a message stays quiet after it was heard.
const repeatAfter = 30 * time.Second

func newLibraryLog(log *slog.Logger) *libraryLog {
	level := kgo.LogLevelWarn
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = kgo.LogLevelInfo
	}
	return &libraryLog{log: log, level: level, heard: map[string]time.Time{}}
}

// Level implements kgo.Logger.
func (l *libraryLog) Level() kgo.LogLevel { return l.level }

// Log implements kgo.Logger.
func (l *libraryLog) Log(level kgo.LogLevel, message string, attributes ...any) {
	severity := slog.LevelDebug
	switch {
	case l.muted.Load() || level > kgo.LogLevelWarn || !l.news(message):
	case level == kgo.LogLevelError:
		severity = slog.LevelError
	case level == kgo.LogLevelWarn:
		severity = slog.LevelWarn
	}
	l.log.Log(context.Background(), severity, message, attributes...)
}

// news tells whether a message was quiet for long enough, and takes note of it. The library's messages are constants.
func (l *libraryLog) news(message string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.heard[message]) < repeatAfter {
		return false
	}
	l.heard[message] = now
	return true
}
