package destination

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"heartbeat/internal/notify"
)

// webhook posts messages as Standard Webhooks, https://www.standardwebhooks.com.
type webhook struct {
	words  notify.Words
	url    string
	keys   [][]byte
	client *http.Client
}

func newWebhook(config *notify.Webhook, words notify.Words) (*webhook, error) {
	allowed, err := parseAllowance(config.Allow)
	if err != nil {
		return nil, err
	}
	w := &webhook{words: words, url: config.URL.Value(), client: allowed.client()}
	for i := range config.Secrets {
		key, err := signingKey(config.Secrets[i].Value())
		if err != nil {
			return nil, fmt.Errorf("secrets: secret %d: %w", i+1, err)
		}
		w.keys = append(w.keys, key)
	}
	return w, nil
}

func signingKey(secret string) ([]byte, error) {
	const least, most = 24, 64
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < least || len(key) > most {
		return nil, errors.New("want whsec_ and the base64 of 24 to 64 bytes, such as from: echo whsec_$(openssl rand -base64 32)")
	}
	return key, nil
}

func (w *webhook) Encode(message *notify.Message) ([]byte, error) { return w.words.JSON(message) }

func (w *webhook) Send(ctx context.Context, delivery Delivery, now time.Time) Result {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(delivery.Body))
	if err != nil {
		return Result{Err: withoutURL(err)}
	}
	id, stamp := "msg_"+delivery.ID, strconv.FormatInt(now.Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "heartbeat")
	request.Header.Set("webhook-id", id)
	request.Header.Set("webhook-timestamp", stamp)
	request.Header.Set("webhook-signature", w.signatures(id, stamp, delivery.Body))
	response, err := w.client.Do(request)
	if err != nil {
		return Result{Err: withoutURL(err)}
	}
	defer response.Body.Close()
	const drained = 64 << 10
	_, _ = io.CopyN(io.Discard, response.Body, drained) // so that the connection serves again
	return resultOf(response, now)
}

// signatures signs with each key: a receiver that knows the old or the new one accepts the message.
func (w *webhook) signatures(id, stamp string, body []byte) string {
	signatures := make([]string, len(w.keys))
	for i, key := range w.keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}

// resultOf takes 2xx alone for success: a receiver that redirects has not taken the message.
func resultOf(response *http.Response, now time.Time) Result {
	result := Result{Code: response.StatusCode, Gone: response.StatusCode == http.StatusGone, RetryAfter: retryAfter(response.Header.Get("Retry-After"), now)}
	if result.Code < 200 || result.Code > 299 {
		result.Err = fmt.Errorf("the receiver answered %d", result.Code)
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

// Ping posts nothing to a URL, which must answer 2xx.
func Ping(ctx context.Context, watchdog *notify.Watchdog) error {
	allowed, err := parseAllowance(watchdog.Allow)
	if err != nil {
		return err
	}
	client := allowed.client()
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, watchdog.URL.Value(), nil)
	if err != nil {
		return withoutURL(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	return resultOf(response, time.Now()).Err
}

// CheckWatchdog refuses a watchdog that cannot be pinged.
func CheckWatchdog(watchdog *notify.Watchdog) error {
	if watchdog == nil {
		return nil
	}
	if _, err := parseAllowance(watchdog.Allow); err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	return nil
}
