package ingestapi

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/device"
	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
)

// parser adds the readings of a body to a batch. Its error refuses the request as a whole.
type parser func(batch *batch, text []byte) error

const mediaTypes = "application/json, application/x-ndjson or application/fhir+json"

func parserOf(contentType string) (parser, error) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, httpserver.NewProblem(httpserver.UnsupportedMedia, "the charset %q is not understood: send UTF-8", charset)
	}
	switch {
	case err == nil && media == "application/json":
		return parseJSON, nil
	case err == nil && (media == "application/x-ndjson" || media == "application/jsonl"):
		return parseLines, nil
	case err == nil && media == "application/fhir+json":
		return parseFHIR, nil
	default:
		return nil, httpserver.NewProblem(httpserver.UnsupportedMedia, "Content-Type %q is not understood: send %s", contentType, mediaTypes)
	}
}

// parseJSON reads one reading or an array of them: native ones, or data points of Open mHealth.
func parseJSON(batch *batch, text []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if decoder.PeekKind() != jsontext.KindBeginArray {
		return batch.addJSON(0, bytes.TrimSpace(text))
	}
	if _, err := decoder.ReadToken(); err != nil {
		return notJSON(err)
	}
	for index := int64(0); decoder.PeekKind() != jsontext.KindEndArray; index++ {
		element, err := decoder.ReadValue()
		if err != nil {
			return notJSON(err)
		}
		// The decoder's own slice is good until its next call only.
		end := decoder.InputOffset()
		if err := batch.addJSON(index, text[end-int64(len(element)):end:end]); err != nil {
			return err
		}
	}
	if _, err := decoder.ReadToken(); err != nil {
		return notJSON(err)
	}
	if rest := bytes.TrimSpace(text[decoder.InputOffset():]); len(rest) > 0 {
		return httpserver.NewProblem(httpserver.BadRequest, "there is more text after the array: send application/x-ndjson for several JSON texts")
	}
	return nil
}

func notJSON(err error) error {
	return httpserver.NewProblem(httpserver.BadRequest, "the body is not JSON, so its readings cannot be told apart: %s", err)
}

// parseLines reads a JSON text on each line. A line with a fault rejects itself only; blank lines count in no index.
func parseLines(batch *batch, text []byte) error {
	index := int64(0)
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := batch.addJSON(index, line[:len(line):len(line)]); err != nil {
			return err
		}
		index++
	}
	return nil
}

// addJSON takes a native reading as it is, or a data point of Open mHealth: what is no native reading and has that format's field.
func (b *batch) addJSON(index int64, value []byte) error {
	if !bytes.Contains(value, []byte(`"effective_time_frame"`)) || len(value) > maxReading {
		return b.add(index, value)
	}
	if _, rejection := b.decoder.Decode(heartbeat.Record{Value: value, Timestamp: b.now}); rejection == nil {
		return b.add(index, value)
	}
	items, err := format.ReadOpenMHealth(value)
	if err != nil {
		b.count++
		b.reject(index, heartbeat.Reject(heartbeat.NotJSON, err.Error()))
		return nil
	}
	for _, item := range items {
		item.Position = index
		if err := b.addItem(item); err != nil {
			return err
		}
	}
	return nil
}

// parseFHIR reads an Observation or a Bundle.
func parseFHIR(batch *batch, text []byte) error {
	document, err := format.ReadFHIR(text, maxReadings)
	if errors.Is(err, format.ErrTooMany) {
		return tooMany()
	}
	if err != nil {
		return httpserver.NewProblem(httpserver.BadRequest, "the body is no Observation or Bundle of FHIR R4: %s", err)
	}
	for _, item := range document.Items {
		if err := batch.addItem(item); err != nil {
			return err
		}
	}
	if document.AllOrNone {
		batch.takeAllOrNone()
	}
	return nil
}

// takeAllOrNone takes nothing of a transaction with a fault.
func (b *batch) takeAllOrNone() {
	for _, one := range b.rejected {
		if format.Fault(heartbeat.Reason(one.Reason)) {
			for _, index := range b.indexes {
				b.rejected = append(b.rejected, rejected{index, string(format.TransactionFailed), fmt.Sprintf("entry %d of the same transaction is rejected", one.Index)})
			}
			b.messages = nil
			return
		}
	}
}

// addItem takes a reading of another format as a native one. A device of one person may leave out whose the readings are, or name the
// person as its own system does.
func (b *batch) addItem(item format.Item) error {
	if item.Rejection != nil {
		if err := b.countOne(); err != nil {
			return err
		}
		b.reject(item.Position, item.Rejection)
		return nil
	}
	customer := item.Sample.Subject
	if _, err := heartbeat.ParseCustomerID(customer); err != nil && b.device.Scope == device.ForCustomer {
		customer = b.device.Customer.String()
	}
	return b.add(item.Position, item.Sample.AppendEvent(nil, customer))
}
