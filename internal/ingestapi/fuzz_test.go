package ingestapi

import (
	"errors"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
)

// Whatever a body holds, each of its readings is either written as a valid one or rejected, or the request as a whole is refused.
func FuzzBody(f *testing.F) {
	for kind := range 3 {
		for _, body := range []string{oneReading, "[" + oneReading + "," + oneReading + "]", oneReading + "\n{\n" + oneReading, "[", `[{"a":1,"a":2},null]`,
			`{"heart_rate":{"value":67.5,"unit":"beats/min"},"effective_time_frame":{"date_time":"2020-02-05T07:25:00-08:00"}}`,
			`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation"}}]}`} {
			f.Add(kind, []byte(body))
		}
	}
	parsers := []parser{parseJSON, parseLines, parseFHIR}
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		batch := &batch{device: local, now: time.Date(2026, 11, 23, 14, 3, 5, 0, time.UTC)}
		err := parsers[uint(kind)%3](batch, body)
		if err != nil {
			if _, ours := errors.AsType[*httpserver.Problem](err); !ours {
				t.Fatalf("the error is no problem: %v", err)
			}
			return
		}
		var decoder heartbeat.Decoder
		for i, message := range batch.messages {
			reading, rejection := decoder.Decode(heartbeat.Record{Value: message.Value, Timestamp: batch.now})
			if rejection != nil || reading.Customer.String() != string(message.Key) || len(message.Value) > maxReading {
				t.Errorf("record %d is %s %q: %v", i, message.Key, message.Value, rejection)
			}
		}
		if len(batch.messages)+len(batch.rejected) != batch.count || len(batch.messages) != len(batch.indexes) && batch.messages != nil {
			t.Errorf("%d readings, %d written and %d rejected", batch.count, len(batch.messages), len(batch.rejected))
		}
	})
}
