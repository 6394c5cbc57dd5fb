package embedded

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kfake"
)

// brokerLog passes on what kfake has to say. It says at info what a request did, which is detail to us.
type brokerLog struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	at := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		at = slog.LevelError
	case kfake.LogLevelWarn:
		at = slog.LevelWarn
	case kfake.LogLevelDebug, kfake.LogLevelNone:
		return
	}
	if l.log.Enabled(context.Background(), at) {
		l.log.Log(context.Background(), at, "broker says", "line", fmt.Sprintf(format, args...))
	}
}
