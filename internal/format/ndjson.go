package format

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// NDJSON reads one event a line, as it stands on the wire; the customer may be missing. A broken line is left out alone. Positions
// count lines.
func NDJSON(r io.Reader) Items {
	return func(yield func(Item, error) bool) {
		lines := &lineReader{reader: withoutBOM(r)}
		for position := int64(0); ; position++ {
			line, long, err := lines.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(Item{Position: position}, err)
				}
				return
			}
			item := Item{Position: position}
			switch {
			case long:
				item.Rejection = reject(heartbeat.TooLarge, "the line is larger than %d bytes", heartbeat.MaxValueBytes)
			case len(line) == 0:
				continue
			default:
				item.Sample, item.Rejection = readEvent(line)
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// lineReader reads lines of any size and returns those of up to the size of a record.
type lineReader struct {
	reader *bufio.Reader
	line   []byte
}

func (l *lineReader) next() (line []byte, long bool, err error) {
	l.line = l.line[:0]
	for {
		part, err := l.reader.ReadSlice('\n')
		if long = long || len(l.line)+len(part) > heartbeat.MaxValueBytes; !long {
			l.line = append(l.line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(l.line) == 0 && !long):
			return nil, false, err
		}
		return bytes.TrimSpace(l.line), long, nil
	}
}

func readEvent(line []byte) (Sample, *heartbeat.Rejection) {
	if jsontext.Value(line).Kind() != jsontext.KindBeginObject {
		return Sample{}, reject(heartbeat.NotObject, "the line is no JSON object")
	}
	var event struct {
		Customer  string         `json:"customer_id"`
		Rate      jsontext.Value `json:"heart_rate"`
		Timestamp string         `json:"timestamp"`
		Device    jsontext.Value `json:"device_id"`
		Contact   jsontext.Value `json:"contact"`
	}
	if rejection := readStrictly(line, &event); rejection != nil {
		return Sample{}, rejection
	}
	rate, rejection := readNumber("heart_rate", event.Rate)
	if rejection != nil {
		return Sample{}, rejection
	}
	if event.Contact.Kind() == jsontext.KindFalse {
		rate = 0 // as such a reading is stored: it was measured in the air
	}
	at, rejection := readTime("timestamp", event.Timestamp)
	return Sample{Subject: shorten(event.Customer), Rate: rate, Time: at, Device: shorten(text(event.Device))}, rejection
}
