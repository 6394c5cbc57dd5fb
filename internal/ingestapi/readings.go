package ingestapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/device"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/kafka/producer"
)

// publishTimeout bounds how long a request waits for the brokers. After it the outcome is not known.
const publishTimeout = 10 * time.Second

// readings takes the readings of one request.
func (s *Server) readings(w http.ResponseWriter, r *http.Request) error {
	one, err := s.authenticate(w, r)
	if err != nil {
		return unread(w, err)
	}
	parse, err := parserOf(r.Header.Get("Content-Type"))
	if err != nil {
		return unread(w, err)
	}
	key, err := keyOf(r.Header)
	if err != nil {
		return unread(w, err)
	}
	body, err := s.readBody(w, r, one.Name)
	defer body.release()
	if err != nil {
		return err
	}
	s.metrics.bytes.Add(float64(len(body.text)))
	if key != "" {
		end, err := s.keys.begin(keyName{one.Name, key}, body.text, s.now())
		if err != nil {
			return err
		}
		defer end()
	}
	batch := &batch{device: one, key: key, now: s.now().UTC().Truncate(time.Millisecond), allowed: s.options.Devices.Allowed}
	batch.decoder.Retention = s.options.Retention
	if err := parse(batch, body.text); err != nil {
		return err
	}
	if err := s.rates.allow(&one, batch.count, s.now()); err != nil {
		return err
	}
	return s.publish(r.Context(), w, batch)
}

// unread refuses a request whose body stays unread: the connection ends with the answer.
func unread(w http.ResponseWriter, err error) error {
	w.Header().Set("Connection", "close")
	return err
}

// publish writes the valid readings to the topic and answers for all.
func (s *Server) publish(ctx context.Context, w http.ResponseWriter, batch *batch) error {
	for _, one := range batch.rejected {
		s.metrics.readings.WithLabelValues(one.Reason).Inc()
	}
	if len(batch.messages) == 0 {
		return writeNothingValid(w, batch.rejected)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout) // a client that leaves does not cut its readings in two
	defer cancel()
	if err := s.options.Publisher.Publish(ctx, batch.messages...); err != nil {
		s.metrics.readings.WithLabelValues("unknown").Add(float64(len(batch.messages)))
		s.options.Logger.Warn("readings not acknowledged, the client is asked to send them again", "device", batch.device.Name, "readings", len(batch.messages), "cause", err)
		return notAcknowledged(err)
	}
	s.metrics.readings.WithLabelValues("accepted").Add(float64(len(batch.messages)))
	return writeAnswer(w, http.StatusAccepted, "application/json", acceptedBody{len(batch.messages), batch.rejected})
}

// notAcknowledged never says which readings were written: a part may be, and sending all of them again is right for each.
func notAcknowledged(err error) error {
	if failure, ok := errors.AsType[*producer.PublishError](err); ok && !slices.Contains(failure.Outcomes, producer.Unknown) {
		return httpserver.NewProblem(httpserver.BrokerUnavailable, "the brokers refused readings: the log of heartbeat ingest says why. Send the same request again").RetryAfter(retryAfter)
	}
	return httpserver.NewProblem(httpserver.BrokerUnavailable, "the brokers did not acknowledge all readings in time: send the same request again, with the same Idempotency-Key").RetryAfter(retryAfter)
}

type acceptedBody struct {
	Accepted int        `json:"accepted"`
	Rejected []rejected `json:"rejected"`
}

// rejected is a reading that is not stored, and why.
type rejected struct {
	Index  int64  `json:"index"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

type nothingValidBody struct {
	*httpserver.Problem `json:",inline"`
	Rejected            []rejected `json:"rejected"`
}

func writeNothingValid(w http.ResponseWriter, rejections []rejected) error {
	problem := httpserver.NewProblem(httpserver.NothingValid, "none of the %d readings is valid: rejected says why", len(rejections))
	if len(rejections) == 0 {
		problem.Detail = "the body has no reading"
	}
	return writeAnswer(w, problem.Status, "application/problem+json", nothingValidBody{problem, rejections})
}

func writeAnswer(w http.ResponseWriter, status int, mediaType string, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client may have left
	return nil
}

// batch is what becomes of one request: the records of the valid readings, and why the others are none.
type batch struct {
	device  device.Device
	key     string // of the request, empty: none
	now     time.Time
	allowed func(device.Device, heartbeat.CustomerID) bool

	decoder  heartbeat.Decoder
	messages []producer.Message
	indexes  []int64 // of the messages
	rejected []rejected
	count    int // of readings, valid or not
}

// add takes the reading at an index, as it goes on the wire. It fails where the request as a whole is refused.
func (b *batch) add(index int64, value []byte) error {
	if err := b.countOne(); err != nil {
		return err
	}
	if len(value) > maxReading {
		b.reject(index, heartbeat.Reject(heartbeat.TooLarge, tooLargeReading))
		return nil
	}
	reading, rejection := b.decoder.Decode(heartbeat.Record{Value: value, Timestamp: b.now})
	if rejection != nil {
		b.reject(index, rejection)
		return nil
	}
	if b.device.Scope != device.ForAll && !b.allowed(b.device, reading.Customer) {
		return httpserver.NewProblem(httpserver.OtherCustomer, "reading %d is of %s, for whom this device may not send: nothing of the request was taken", index, reading.Customer)
	}
	message := producer.Message{Key: reading.Customer.AppendTo(nil), Value: value, Time: b.now}
	if id, ok := b.recordID(index, value, &reading); ok {
		message.ID = &id
	}
	b.messages, b.indexes = append(b.messages, message), append(b.indexes, index)
	return nil
}

// recordID returns what all attempts to send the reading share, false where nothing tells them from new readings.
func (b *batch) recordID(index int64, value []byte, reading *heartbeat.Reading) (heartbeat.RecordID, bool) {
	if sender := b.decoder.Device(); sender != nil && sender.ID != "" && sender.Seq >= 0 { // it outlives a gateway that forgets its keys
		return heartbeat.SequencedRecordID(sender.ID, sender.Seq, reading), true
	}
	if b.key != "" {
		return heartbeat.KeyedRecordID(b.device.Name, b.key, int(index), value), true
	}
	return heartbeat.RecordID{}, false
}

func (b *batch) countOne() error {
	if b.count++; b.count > maxReadings {
		return tooMany()
	}
	return nil
}

func tooMany() error {
	return httpserver.NewProblem(httpserver.TooLarge, "the body has over %d readings: send it in several requests", maxReadings)
}

const tooLargeReading = "the reading has over 65536 bytes"

func (b *batch) reject(index int64, rejection *heartbeat.Rejection) {
	b.rejected = append(b.rejected, rejected{index, string(rejection.Reason), rejection.Detail})
}
