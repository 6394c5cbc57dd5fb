package ingestapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka/producer"
)

func TestNativeReadingGoesToTheTopicAsItIs(t *testing.T) {
	t.Parallel()
	topic := &topic{}
	response := post(newServer(t, topic, nil), jsonType, oneReading)
	if a := answerOf(t, response); response.Code != http.StatusAccepted || a.Accepted != 1 || len(a.Rejected) != 0 {
		t.Fatalf("answer %d %s", response.Code, response.Body)
	}
	if !strings.Contains(response.Body.String(), `"rejected":[]`) {
		t.Errorf("answer %s, want an empty list of rejected readings", response.Body)
	}
	message := topic.messages[0]
	if string(message.Value) != oneReading || string(message.Key) != "CUST_00042" {
		t.Errorf("record %s %s", message.Key, message.Value)
	}
	if want := heartbeat.SequencedRecordID("w-7", 918, &heartbeat.Reading{Customer: 42, Class: heartbeat.Normal, BPM: 73, Time: time.Date(2026, 11, 23, 14, 3, 5, 123_000_000, time.UTC)}); message.ID == nil || *message.ID != want {
		t.Errorf("id %v, want that of the device's sequence number", message.ID)
	}
	post(newServer(t, topic, nil), jsonType, strings.Replace(oneReading, "14:03:05", "14:03:06", 1))
	if again := topic.messages[1]; again.ID == nil || *again.ID == *message.ID {
		t.Error("a device that was reset counts from the beginning: its reading of another time has the id of an earlier one")
	}
}

// Each shape of a body gives the same readings, and each broken reading rejects itself only.
func TestBodiesGiveTheirReadings(t *testing.T) {
	t.Parallel()
	a, b, broken := reading(7, "60"), reading(8, "61"), `{"customer_id":"CUST_00009"}`
	omh := `{"heart_rate":{"value":67.5,"unit":"beats/min"},"effective_time_frame":{"date_time":"2020-02-05T07:25:00-08:00"}}`
	observation := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/CUST_00042"},"effectiveDateTime":"2026-11-23T14:03:05Z","valueQuantity":{"value":44,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}`
	fhir := `{"customer_id":"CUST_00042","heart_rate":44,"timestamp":"2026-11-23T14:03:05.000000+00:00"}`
	entry := func(resource string) string { return `{"resource":` + resource + `}` }
	bundle := func(kind string, entries ...string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
	}
	bare := strings.Replace(observation, "2026-11-23T14:03:05Z", "2026-11-23", 1)
	for name, test := range map[string]struct {
		contentType, body string
		token             string
		values            []string
		rejected          []string // index and reason
	}{
		"an array":                        {jsonType, "[" + a + ",\n " + b + " ]", "", []string{a, b}, nil},
		"an array with a fault":           {jsonType, "[" + a + "," + broken + "," + b + ",7]", "", []string{a, b}, []string{"1 missing_field", "3 not_object"}},
		"a charset":                       {jsonType + "; charset=UTF-8", a, "", []string{a}, nil},
		"lines":                           {linesType, a + "\n\n" + b + "\r\n", "", []string{a, b}, nil},
		"a broken line":                   {linesType, a + "\n{\"customer_id\":\n" + b, "", []string{a, b}, []string{"1 not_json"}},
		"a cut line":                      {linesType, a + "\n" + b[:30], "", []string{a}, []string{"1 not_json"}},
		"a line of 64 KiB":                {linesType, a + "\n" + b + strings.Repeat(" ", 10) + "\n" + `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, "", []string{a, b}, []string{"2 too_large"}},
		"a duplicate field":               {jsonType, `[{"a":1,"a":2},` + a + "]", "", []string{a}, []string{"0 duplicate_field"}},
		"not UTF-8":                       {jsonType, "[\"\xff\"," + a + "]", "", []string{a}, []string{"0 bad_utf8"}},
		"a null":                          {jsonType, "[null," + a + "]", "", []string{a}, []string{"0 not_object"}},
		"an escaped customer":             {jsonType, `{"customer_id":"\u0043UST_00042","heart_rate":1,"timestamp":"2026-11-23T14:03:05Z"}`, "person", []string{`{"customer_id":"\u0043UST_00042","heart_rate":1,"timestamp":"2026-11-23T14:03:05Z"}`}, nil},
		"a native time frame":             {jsonType, `{"customer_id":"CUST_00042","heart_rate":60,"timestamp":"2026-11-23T14:03:05Z","effective_time_frame":{}}`, "", []string{`{"customer_id":"CUST_00042","heart_rate":60,"timestamp":"2026-11-23T14:03:05Z","effective_time_frame":{}}`}, nil},
		"Open mHealth":                    {jsonType, omh, "person", []string{`{"customer_id":"CUST_00042","heart_rate":67.5,"timestamp":"2020-02-05T15:25:00.000000+00:00"}`}, nil},
		"Open mHealth without a customer": {jsonType, "[" + omh + "," + a + "]", "", []string{a}, []string{"0 bad_customer_id"}},
		"Open mHealth in pounds":          {jsonType, "[" + strings.Replace(omh, "beats/min", "lb", 1) + "," + a + "]", "", []string{a}, []string{"0 wrong_unit"}},
		"an Observation":                  {fhirType, observation, "", []string{fhir}, nil},
		"a patient of elsewhere":          {fhirType, strings.Replace(observation, "CUST_00042", "123", 1), "person", []string{fhir}, nil},
		"a batch with a fault":            {fhirType, bundle("batch", entry(observation), entry(bare)), "", []string{fhir}, []string{"1 bad_timestamp"}},
		"a transaction":                   {fhirType, bundle("transaction", entry(observation), entry(observation)), "", []string{fhir, fhir}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := &topic{}
			var headers []string
			if test.token != "" {
				headers = []string{"Authorization", "Bearer " + test.token}
			}
			response := post(newServer(t, topic, nil), test.contentType, test.body, headers...)
			answer := answerOf(t, response)
			var reasons []string
			for _, one := range answer.Rejected {
				reasons = append(reasons, fmt.Sprintf("%d %s", one.Index, one.Reason))
				if one.Detail == "" {
					t.Errorf("reading %d is rejected without a sentence", one.Index)
				}
			}
			if response.Code != http.StatusAccepted || answer.Accepted != len(test.values) ||
				!slices.Equal(topic.values(), test.values) || !slices.Equal(reasons, test.rejected) {
				t.Errorf("answer %d %s, topic %q; want %q, rejected %q", response.Code, response.Body, topic.values(), test.values, test.rejected)
			}
		})
	}
}

// A request that is refused leaves nothing in the topic.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	good := reading(42, "60")
	many := "[" + strings.Repeat(good+",", 10_000) + good + "]"
	transaction := `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/CUST_00042"},"effectiveDateTime":"2026-11-23T14:03:05Z","valueQuantity":{"value":44,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}},{"resource":{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/CUST_00042"},"effectiveDateTime":"2026-11-23","valueQuantity":{"value":44,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}}]}`
	for name, test := range map[string]struct {
		contentType, body string
		headers           []string
		status            int
		code              string
	}{
		"no reading":               {jsonType, "[]", nil, 400, "nothing_valid"},
		"an empty body":            {jsonType, "", nil, 400, "nothing_valid"},
		"no lines":                 {linesType, "\n\n", nil, 400, "nothing_valid"},
		"no valid reading":         {jsonType, `{"customer_id":"CUST_1","heart_rate":60,"timestamp":"2026-11-23T14:03:05Z"}`, nil, 400, "nothing_valid"},
		"a failed transaction":     {fhirType, transaction, nil, 400, "nothing_valid"},
		"a broken array":           {jsonType, "[" + good + ",{", nil, 400, "bad_request"},
		"two arrays":               {jsonType, "[" + good + "][]", nil, 400, "bad_request"},
		"10,001 levels":            {jsonType, strings.Repeat("[", 10_001), nil, 400, "bad_request"},
		"no FHIR":                  {fhirType, "{", nil, 400, "bad_request"},
		"damaged gzip":             {jsonType, "no gzip", []string{"Content-Encoding", "gzip"}, 400, "bad_request"},
		"cut gzip":                 {jsonType, packed(t, []byte(good))[:40], []string{"Content-Encoding", "gzip"}, 400, "bad_request"},
		"a key with a blank":       {jsonType, good, []string{"Idempotency-Key", "a b"}, 400, "bad_request"},
		"a long key":               {jsonType, good, []string{"Idempotency-Key", strings.Repeat("k", 129)}, 400, "bad_request"},
		"another type":             {"text/plain", good, nil, 415, "unsupported_media_type"},
		"no type":                  {"", good, nil, 415, "unsupported_media_type"},
		"another charset":          {"application/json; charset=latin1", good, nil, 415, "unsupported_media_type"},
		"another encoding":         {jsonType, good, []string{"Content-Encoding", "br"}, 415, "unsupported_media_type"},
		"an empty key":             {jsonType, good, []string{"Idempotency-Key", ""}, 400, "bad_request"},
		"a Bundle of millions":     {fhirType, packed(t, []byte(`{"resourceType":"Bundle","type":"batch","entry":[1`+strings.Repeat(",1", 4_000_000)+"]}")), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
		"a large transaction":      {fhirType, packed(t, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{}`+strings.Repeat(",{}", 20_000)+"]}")), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
		"a large Observation":      {fhirType, packed(t, []byte(`{"resourceType":"Observation","component":[{}`+strings.Repeat(",{}", 100_000)+"]}")), []string{"Content-Encoding", "gzip"}, 400, "nothing_valid"},
		"a proxy without a token":  {jsonType, good, []string{"X-Forwarded-For", "203.0.113.9"}, 401, "unauthorized"},
		"a wrong token":            {jsonType, good, []string{"Authorization", "Bearer x"}, 401, "unauthorized"},
		"another scheme":           {jsonType, good, []string{"Authorization", "Basic x"}, 401, "unauthorized"},
		"another's customer":       {jsonType, "[" + good + "," + reading(43, "60") + "]", []string{"Authorization", "Bearer person"}, 403, "other_customer"},
		"another cohort":           {jsonType, good, []string{"Authorization", "Bearer ward"}, 403, "other_customer"},
		"another site's page":      {jsonType, good, []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://elsewhere"}, 403, "cross_origin"},
		"over 10,000 readings":     {jsonType, many[:1] + strings.Repeat("{},", 10_000) + "{}]", nil, 413, "too_large"},
		"over 1 MiB":               {jsonType, strings.Repeat(" ", 1<<20+1), nil, 413, "too_large"},
		"over 8 MiB unpacked":      {jsonType, packed(t, make([]byte, 8<<20+1)), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
		"128 MiB in 130 KB":        {jsonType, strings.Repeat(packed(t, make([]byte, 1<<20)), 128), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
		"many times its own bytes": {jsonType, packed(t, []byte(many)), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := &topic{}
			server := newServer(t, topic, nil)
			response := post(server, test.contentType, test.body, test.headers...)
			answer := answerOf(t, response)
			if response.Code != test.status || answer.Code != test.code || answer.Detail == "" {
				t.Errorf("answer %d %s, want %d %s", response.Code, response.Body, test.status, test.code)
			}
			if len(topic.messages) > 0 {
				t.Errorf("%d readings are in the topic", len(topic.messages))
			}
			if used := server.budget.inUse(); used != 0 {
				t.Errorf("%d bytes are still reserved", used)
			}
		})
	}
}

func TestTokensAreNeededBeyondThisMachine(t *testing.T) {
	t.Parallel()
	topic := &topic{}
	server := newServer(t, topic, func(o *Options) { o.RequireToken = true })
	for token, status := range map[string]int{"": 401, "Bearer": 401, "Bearer ": 401, "Bearer x": 401, "Bearer person": 202, "bearer  gateway": 202, "Bearer ward": 403} {
		var headers []string
		if token != "" {
			headers = []string{"Authorization", token}
		}
		response := post(server, jsonType, oneReading, headers...)
		if response.Code != status {
			t.Errorf("%q: status %d, want %d: %s", token, response.Code, status, response.Body)
		}
		if challenge := response.Header().Get("WWW-Authenticate"); (challenge != "") != (status == 401) {
			t.Errorf("%q: challenge %q", token, challenge)
		}
	}
	if response := post(server, jsonType, reading(7, "60"), "Authorization", "Bearer ward"); response.Code != http.StatusAccepted {
		t.Errorf("a customer of the cohort: %d %s", response.Code, response.Body)
	}
}

func TestUnknownDevicesAreNoWrongTokens(t *testing.T) {
	t.Parallel()
	server := newServer(t, &topic{}, func(o *Options) {
		o.Devices = &registry{unready: errors.New("the database is away")}
		o.RequireToken = true
	})
	response := post(server, jsonType, oneReading, "Authorization", "Bearer person")
	if response.Code != http.StatusServiceUnavailable || response.Header().Get("Retry-After") == "" {
		t.Errorf("answer %d %s", response.Code, response.Body)
	}
}

func TestBrokersThatDoNotAcknowledge(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"away":    context.DeadlineExceeded,
		"in part": &producer.PublishError{Outcomes: []producer.Outcome{producer.Acknowledged, producer.Unknown}, Err: context.DeadlineExceeded},
		"refused": &producer.PublishError{Outcomes: []producer.Outcome{producer.Refused}, Err: errors.New("not authorized")},
	} {
		response := post(newServer(t, &topic{fail: failure}, nil), jsonType, "["+reading(1, "60")+","+reading(2, "60")+"]")
		if a := answerOf(t, response); response.Code != http.StatusServiceUnavailable || a.Code != "broker_unavailable" ||
			response.Header().Get("Retry-After") == "" || !strings.Contains(a.Detail, "same request again") {
			t.Errorf("%s: answer %d %s", name, response.Code, response.Body)
		}
	}
}

func TestSameKeyHasTheSameIDs(t *testing.T) {
	t.Parallel()
	topic := &topic{}
	one, other := newServer(t, topic, nil), newServer(t, topic, nil) // two gateways
	body := "[" + reading(1, "60") + ",{}," + reading(42, "61") + "]"
	for _, server := range []*Server{one, one, other} {
		if response := post(server, jsonType, body, "Idempotency-Key", "k-1", "Authorization", "Bearer gateway"); response.Code != http.StatusAccepted {
			t.Fatalf("answer %d %s", response.Code, response.Body)
		}
	}
	for i, message := range topic.messages {
		want := heartbeat.KeyedRecordID("gateway", "k-1", []int{0, 2}[i%2], message.Value)
		if message.ID == nil || *message.ID != want {
			t.Errorf("record %d has the id %v, want %v", i, message.ID, want)
		}
	}
	if response := post(one, jsonType, oneReading, "Idempotency-Key", "k-1"); response.Code != http.StatusAccepted {
		t.Errorf("the same key of another device: %d %s", response.Code, response.Body)
	}
	response := post(one, jsonType, oneReading, "Idempotency-Key", "k-1", "Authorization", "Bearer gateway")
	if a := answerOf(t, response); response.Code != http.StatusUnprocessableEntity || a.Code != "idempotency_key_reused" {
		t.Errorf("another body: %d %s", response.Code, response.Body)
	}
}

func TestKeyUnderWayIsAConflict(t *testing.T) {
	t.Parallel()
	topic := &topic{entered: make(chan struct{}, 2), hold: make(chan struct{})}
	server := newServer(t, topic, nil)
	first := make(chan int)
	go func() { first <- post(server, jsonType, oneReading, "Idempotency-Key", "k").Code }()
	<-topic.entered
	response := post(server, jsonType, oneReading, "Idempotency-Key", "k")
	if a := answerOf(t, response); response.Code != http.StatusConflict || a.Code != "idempotency_key_under_way" {
		t.Errorf("answer %d %s", response.Code, response.Body)
	}
	close(topic.hold)
	if code := <-first; code != http.StatusAccepted {
		t.Errorf("the first request: status %d", code)
	}
	if response := post(server, jsonType, oneReading, "Idempotency-Key", "k"); response.Code != http.StatusAccepted {
		t.Errorf("afterwards: %d %s", response.Code, response.Body)
	}
}

func TestKeysAreForgottenAfterAnHour(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	keys := newKeys()
	use := func(key, body string, now time.Time) error {
		end, err := keys.begin(keyName{"d", key}, []byte(body), now)
		if err == nil {
			end()
		}
		return err
	}
	for i := range maxKeys + 10 {
		if err := use(fmt.Sprint(i), "a", now); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys.seen) > maxKeys || len(keys.seen) != len(keys.order) {
		t.Errorf("%d keys are remembered, in an order of %d", len(keys.seen), len(keys.order))
	}
	last := fmt.Sprint(maxKeys + 9)
	if err := use(last, "b", now.Add(keyTime-1)); err == nil {
		t.Error("another body within an hour is taken")
	}
	if err := use(last, "b", now.Add(keyTime)); err != nil {
		t.Errorf("another body after an hour: %v", err)
	}
}

func TestRateOfADevice(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 3, 5, 0, time.UTC)
	topic := &topic{}
	server := at(newServer(t, topic, nil), now)
	full := "[" + strings.Repeat(reading(1, "60")+",", burst-1) + reading(1, "60") + "]"
	send := func(body string) int {
		return post(server, jsonType, packed(t, []byte(body)), "Content-Encoding", "gzip", "Authorization", "Bearer slow").Code
	}
	if code := send(full); code != http.StatusAccepted {
		t.Fatalf("a burst: status %d", code)
	}
	response := post(server, jsonType, "["+reading(1, "60")+strings.Repeat(","+reading(1, "60"), 14)+"]", "Authorization", "Bearer slow")
	if a := answerOf(t, response); response.Code != http.StatusTooManyRequests || a.Code != "too_many_requests" || response.Header().Get("Retry-After") != "2" {
		t.Errorf("15 readings beyond: %d %s, Retry-After %q", response.Code, response.Body, response.Header().Get("Retry-After"))
	}
	at(server, now.Add(2*time.Second))
	if code := send("[" + reading(1, "60") + strings.Repeat(","+reading(1, "60"), 14) + "]"); code != http.StatusAccepted {
		t.Errorf("after Retry-After: status %d", code)
	}
	if len(topic.messages) != burst+15 {
		t.Errorf("%d readings in the topic, want %d", len(topic.messages), burst+15)
	}
}

func TestOldReadingsAreRefusedAsTheConsumerDoes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 14, 3, 6, 0, time.UTC)
	for retention, status := range map[time.Duration]int{0: 202, 24 * time.Hour: 400, 25 * time.Hour: 202} {
		server := at(newServer(t, &topic{}, func(o *Options) { o.Retention = retention }), now)
		if response := post(server, jsonType, oneReading); response.Code != status {
			t.Errorf("retention %s: status %d, want %d: %s", retention, response.Code, status, response.Body)
		}
	}
}
