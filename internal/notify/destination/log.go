package destination

import (
	"context"
	"log/slog"
	"time"

	"heartbeat/internal/notify"
)

// logSender writes messages into the process's own log.
type logSender struct {
	words  notify.Words
	logger *slog.Logger
}

func (s *logSender) Encode(message *notify.Message) ([]byte, error) { return s.words.JSON(message) }

func (s *logSender) Send(ctx context.Context, delivery Delivery, _ time.Time) Result {
	s.logger.WarnContext(ctx, "alarm message", "id", delivery.ID, "message", string(delivery.Body))
	return Result{}
}
