package destination

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// post sends a body once. Callers make the header from the file's secrets and ids; it never holds data of alarms.
func post(ctx context.Context, client *http.Client, url string, header http.Header, body []byte, now time.Time) Result {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Result{Untaken: true, Err: withoutURL(err)}
	}
	request.Header = header
	header.Set("User-Agent", "heartbeat")
	if len(body) > 0 {
		header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return Result{Untaken: notDialled(err), Err: withoutURL(err)}
	}
	defer response.Body.Close()
	const drained = 64 << 10
	_, _ = io.CopyN(io.Discard, response.Body, drained) // so that the connection serves again
	return resultOf(response, now)
}

// notDialled reports whether an attempt ended before a connection was made.
func notDialled(err error) bool {
	refused, ok := errors.AsType[*net.OpError](err)
	return ok && refused.Op == "dial"
}

// resultOf takes 2xx alone for success: a receiver that redirects has not taken the message.
func resultOf(response *http.Response, now time.Time) Result {
	result := Result{Code: response.StatusCode, Gone: response.StatusCode == http.StatusGone, RetryAfter: retryAfter(response.Header.Get("Retry-After"), now)}
	if result.Code < 200 || result.Code > 299 {
		result.Untaken, result.Err = true, fmt.Errorf("the receiver answered %d", result.Code)
	}
	return result
}

// maxRetryAfter bounds what a receiver may ask for.
const maxRetryAfter = time.Hour

func retryAfter(header string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// withoutURL leaves the URL out of an error: it may be a secret.
func withoutURL(err error) error {
	if refused, ok := errors.AsType[*url.Error](err); ok {
		return refused.Err
	}
	return err
}
