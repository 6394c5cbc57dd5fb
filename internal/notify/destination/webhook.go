package destination

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
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
	dialing, err := newDialing(&config.Dial)
	if err != nil {
		return nil, err
	}
	w := &webhook{words: words, url: config.URL.Value(), client: dialing.client()}
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
	id, stamp := "msg_"+delivery.ID, strconv.FormatInt(now.Unix(), 10)
	header := http.Header{}
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", stamp)
	header.Set("webhook-signature", w.signatures(id, stamp, delivery.Body))
	return post(ctx, w.client, w.url, header, delivery.Body, now)
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
