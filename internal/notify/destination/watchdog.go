package destination

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"heartbeat/internal/notify"
)

// Ping posts an empty body to a URL, which must answer 2xx.
func Ping(ctx context.Context, watchdog *notify.Watchdog) error {
	dialing, err := newDialing(&watchdog.Dial)
	if err != nil {
		return err
	}
	client := dialing.client()
	defer client.CloseIdleConnections()
	return post(ctx, client, watchdog.URL.Value(), http.Header{}, nil, time.Now()).Err
}

// CheckWatchdog refuses a watchdog that cannot be pinged.
func CheckWatchdog(watchdog *notify.Watchdog) error {
	if watchdog == nil {
		return nil
	}
	if _, err := newDialing(&watchdog.Dial); err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	return nil
}
