package broker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kfake"
)

// clusterLog passes on kfake's log lines. kfake logs each request at info; here that is debug.
type clusterLog struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l clusterLog) Logf(level kfake.LogLevel, format string, args ...any) {
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
		l.log.Log(context.Background(), at, "kfake", "line", fmt.Sprintf(format, args...))
	}
}
