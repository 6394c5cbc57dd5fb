package heartbeat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxValueBytes is the size beyond which a value is TooLarge.
const MaxValueBytes = 1 << 20

// MaxAhead is how far the time of an event may lie ahead of its record's Kafka timestamp.
const MaxAhead = 10 * time.Minute

// MaxDelay is how far the time of an event may lie before its record's Kafka timestamp for the reading to be live. An upload of stored
// readings is history: kept, and neither judged nor shown as an alert of the moment. Source: alarms.md §3.
const MaxDelay = 120 * time.Second

// earliest is 2000-01-01T00:00:00Z in Unix seconds. An event before that comes from a clock that was never set.
const earliest = 946_684_800

// Decoder turns records into readings. Its zero value is ready for use; it must not be copied after its first use.
//
// The fast path reads a record spelled as AppendJSON spells it; one strict pass reads any other. Neither allocates.
// What that pass refuses is read once more, leniently, to find the first reason that applies.
type Decoder struct {
	// Retention refuses events that are older than this before their record's Kafka timestamp. Zero refuses none.
	Retention time.Duration

	told    *Device // of the latest reading
	json    jsontext.Decoder
	source  bytes.Buffer // what json reads: the one kind of reader that it does not copy
	scratch []byte       // the last string that had escapes, without them
}

// Decode returns the reading that the record carries, or why it carries none. The result depends on nothing but the
// record and Retention.
func (d *Decoder) Decode(record Record) (Reading, *Rejection) {
	d.told = nil
	if rejection := checkSize(record.Value); rejection != nil {
		return Reading{}, rejection
	}
	if reading, ok := d.fastPath(&record); ok {
		return reading, nil
	}
	return d.strict(record)
}

// Device returns what the reading that Decode returned last says of its device, nil where it says nothing.
func (d *Decoder) Device() *Device { return d.told }

// strict is ready for any bytes.
func (d *Decoder) strict(record Record) (Reading, *Rejection) {
	event, err := d.parse(record.Value)
	if err != nil {
		if pointer(err) == "/customer_id" {
			event.customer = nil // given twice or faulty: the customer is not known
		}
		return Reading{}, d.attribute(d.diagnose(record.Value, err), event)
	}
	reading, rejection := d.read(event, record.Timestamp)
	if rejection != nil {
		return Reading{}, d.attribute(rejection, event)
	}
	return reading, nil
}

func checkSize(value []byte) *Rejection {
	switch {
	case value == nil:
		return Reject(Empty, "the record has no value")
	case len(value) == 0:
		return Reject(Empty, "the value has no bytes")
	case len(value) > MaxValueBytes:
		return Reject(TooLarge, fmt.Sprintf("the value has %d bytes, want at most %d", len(value), MaxValueBytes))
	default:
		return nil
	}
}

// fields are the members of the event's object as they stand in the record's value, nil where there are none.
type fields struct {
	customer, rate, timestamp              jsontext.Value
	deviceID, battery, contact, steps, seq jsontext.Value // optional, and of any type
}

var (
	errNotObject = errors.New("not an object")
	errTrailing  = errors.New("more text after the JSON value")
)

// parse reads the value as one JSON object in valid UTF-8 without duplicate names. With an error it returns the fields
// that stand before the fault.
func (d *Decoder) parse(value []byte) (event fields, err error) {
	d.reset(value)
	if d.json.PeekKind() != jsontext.KindBeginObject {
		return event, errNotObject
	}
	if _, err := d.json.ReadToken(); err != nil {
		return event, err
	}
	for d.json.PeekKind() != jsontext.KindEndObject {
		quoted, err := d.json.ReadValue()
		if err != nil {
			return event, err
		}
		field := event.named(d.unquote(quoted))
		member, err := d.json.ReadValue()
		if err != nil {
			return event, err
		}
		if field != nil {
			// The decoder's own slice is good until its next call only.
			end := d.json.InputOffset()
			*field = value[end-int64(len(member)) : end]
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return event, err
	}
	return event, d.end()
}

// reset starts over on value.
func (d *Decoder) reset(value []byte, options ...jsontext.Options) {
	d.source = *bytes.NewBuffer(value)
	d.json.Reset(&d.source, options...)
}

// end wants nothing but blanks after the top-level value.
func (d *Decoder) end() error {
	switch _, err := d.json.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return errTrailing
	default:
		return err
	}
}

// named returns the field of that name, or nil for an unknown one.
func (f *fields) named(name []byte) *jsontext.Value {
	switch string(name) {
	case "customer_id":
		return &f.customer
	case "heart_rate":
		return &f.rate
	case "timestamp":
		return &f.timestamp
	case "device_id":
		return &f.deviceID
	case "battery":
		return &f.battery
	case "contact":
		return &f.contact
	case "steps":
		return &f.steps
	case "seq":
		return &f.seq
	default:
		return nil
	}
}

// unquote returns the text of a valid JSON string, good until the next call.
func (d *Decoder) unquote(quoted jsontext.Value) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	d.scratch, _ = jsontext.AppendUnquote(d.scratch[:0], quoted)
	return d.scratch
}

// read makes a reading of the fields.
func (d *Decoder) read(event fields, kafka time.Time) (Reading, *Rejection) {
	if !event.typed() {
		return Reading{}, event.fault()
	}
	id := d.unquote(event.customer)
	customer, ok := parseCustomerID(id)
	if !ok {
		return Reading{}, Reject(BadCustomerID, fmt.Sprintf("customer_id is %s, want %s", excerpt(id), customerForm))
	}
	text := d.unquote(event.timestamp)
	at, ok := parseTimestamp(text)
	if !ok {
		return Reading{}, Reject(BadTimestamp, fmt.Sprintf("timestamp is %s, want %s", excerpt(text), timestampForm))
	}
	if rejection := d.checkRange(at, kafka); rejection != nil {
		return Reading{}, rejection
	}
	// The number is well-formed, so the only error there can be is of one beyond the range of a double: an infinite rate.
	rate, _ := strconv.ParseFloat(string(event.rate), 64)
	class, bpm := Classify(rate)
	d.told = d.device(&event)
	if event.touch() == NoContact {
		class, bpm = Invalid, 0
	}
	return Reading{Customer: customer, Class: class, BPM: bpm, Time: at}, nil
}

// typed reports whether all fields are there and of their types.
func (f *fields) typed() bool {
	return f.customer.Kind() == jsontext.KindString &&
		f.rate.Kind() == jsontext.KindNumber &&
		f.timestamp.Kind() == jsontext.KindString
}

// checkRange measures against the record and never against the clock of the moment, so that a replay decides the same.
func (d *Decoder) checkRange(at, kafka time.Time) *Rejection {
	fault := ""
	switch {
	case at.Unix() < earliest:
		fault = "before 2000"
	case kafka.IsZero(): // nothing else is known of a record without a Kafka timestamp
		return nil
	case at.After(kafka.Add(MaxAhead)):
		fault = fmt.Sprintf("more than %s ahead of the record's Kafka timestamp %s", MaxAhead, stamp(kafka))
	case d.Retention > 0 && at.Before(kafka.Add(-d.Retention)):
		fault = fmt.Sprintf("over the retention of %s before the record's Kafka timestamp %s", d.Retention, stamp(kafka))
	default:
		return nil
	}
	return Reject(TimestampRange, fmt.Sprintf("timestamp %s is %s", stamp(at), fault))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// attribute adds the customer to the rejection where the id could be read.
func (d *Decoder) attribute(rejection *Rejection, event fields) *Rejection {
	if event.customer.Kind() == jsontext.KindString {
		if id, ok := parseCustomerID(d.unquote(event.customer)); ok {
			rejection.Customer = id.String()
		}
	}
	return rejection
}
