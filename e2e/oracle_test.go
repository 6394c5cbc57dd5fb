package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// outcome is what the contract requires for one record: a class with the stored values, or the reason of a dead letter.
type outcome struct {
	Class    string // NORMAL, BRADYCARDIA, TACHYCARDIA or INVALID; empty for a dead letter
	BPM      int64
	Customer string // of a dead letter: where the contract makes it certain that it was readable
	Micros   int64  // the event's time, in microseconds since 1970
	Reason   string // of a dead letter
}

// expectedOutcome applies section 3 of the contract to a record. It shares no code with the consumer. Retention 0 is none.
func expectedOutcome(value []byte, kafkaTime time.Time, retention time.Duration) outcome {
	switch {
	case len(value) == 0:
		return outcome{Reason: "empty"}
	case len(value) > 1<<20:
		return outcome{Reason: "too_large"}
	case !utf8.Valid(value):
		return outcome{Reason: "bad_utf8"}
	}
	shape := scanJSON(value)
	switch {
	case shape.loneSurrogate:
		return outcome{Reason: "bad_utf8"}
	case !shape.json:
		return outcome{Reason: "not_json"}
	case !shape.object:
		return outcome{Reason: "not_object"}
	case shape.duplicate:
		return outcome{Reason: "duplicate_field"}
	}
	return outcomeOfFields(shape.fields, kafkaTime, retention)
}

var (
	customerPattern  = regexp.MustCompile(`\ACUST_([0-9]{5}|[1-9][0-9]{5,8})\z`)
	timestampPattern = regexp.MustCompile(`\A(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)\z`)
	firstPlausible   = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

func outcomeOfFields(fields map[string]any, kafkaTime time.Time, retention time.Duration) outcome {
	customer, isText := fields["customer_id"].(string)
	known := ""
	if isText && customerPattern.MatchString(customer) {
		known = customer
	}
	rate, isNumber := fields["heart_rate"].(json.Number)
	stamp, isStamp := fields["timestamp"].(string)
	switch {
	case fields["customer_id"] == nil || fields["heart_rate"] == nil || fields["timestamp"] == nil:
		return outcome{Reason: "missing_field", Customer: known}
	case !isText || !isNumber || !isStamp:
		return outcome{Reason: "wrong_type", Customer: known}
	case known == "":
		return outcome{Reason: "bad_customer_id"}
	}
	at, ok := parseTimestamp(stamp)
	switch {
	case !ok:
		return outcome{Reason: "bad_timestamp", Customer: known}
	case at.Before(firstPlausible):
		return outcome{Reason: "timestamp_out_of_range", Customer: known}
	case kafkaTime.UTC().Year() < 2000: // the record has no Kafka timestamp, or one of a clock that was never set: nothing to compare with
	case at.After(kafkaTime.Add(10 * time.Minute)), retention > 0 && at.Before(kafkaTime.Add(-retention)):
		return outcome{Reason: "timestamp_out_of_range", Customer: known}
	}
	class, bpm := classify(string(rate))
	if fields["contact"] == false { // measured in the air
		class, bpm = "INVALID", 0
	}
	return outcome{Class: class, BPM: bpm, Customer: known, Micros: at.UnixMicro()}
}

// parseTimestamp accepts RFC 3339 with an offset and truncates to the microsecond.
func parseTimestamp(text string) (time.Time, bool) {
	parts := timestampPattern.FindStringSubmatch(text)
	if parts == nil {
		return time.Time{}, false
	}
	fraction := (parts[3] + "000000")[:6]
	at, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", parts[1]+"T"+parts[2]+"."+fraction+parts[4])
	return at.UTC(), err == nil
}

// classify decides on the double, then rounds within the class.
func classify(number string) (string, int64) {
	rate, _ := strconv.ParseFloat(number, 64) // the error is of one beyond the range: an infinity
	nearest := int64(math.Max(math.MinInt32, math.Min(math.MaxInt32, math.Round(rate))))
	within := func(low, high int64) int64 { return max(low, min(high, nearest)) }
	switch {
	case rate > 300:
		return "INVALID", within(301, math.MaxInt32)
	case rate > 180:
		return "TACHYCARDIA", within(181, 300)
	case rate >= 40:
		return "NORMAL", within(40, 180)
	case rate > 0:
		return "BRADYCARDIA", within(1, 39)
	default:
		return "INVALID", within(math.MinInt32, 0)
	}
}

// jsonShape describes a text in valid UTF-8 as JSON.
type jsonShape struct {
	json, object  bool
	loneSurrogate bool           // before the first fault of syntax
	duplicate     bool           // two members of one object have one name
	fields        map[string]any // of the outermost object; strings, json.Numbers, nil, or something else
}

// maxDepth is the nesting of arrays and objects that both sides accept as JSON.
const maxDepth = 10_000

// scanJSON reads the text token by token.
func scanJSON(text []byte) (s jsonShape) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	w := jsonWalker{jsonShape: &s, text: text, decoder: decoder}
	s.fields = map[string]any{}
	err := w.value(1, func(v any) { _, s.object = v.(map[string]any) })
	if err == nil {
		_, err = decoder.Token()
		s.json = errors.Is(err, io.EOF)
	}
	return s
}

// jsonWalker is one pass over a text.
type jsonWalker struct {
	*jsonShape
	text    []byte
	decoder *json.Decoder
	scanned int64 // the end of the text whose escapes were checked
}

var errTooDeep = errors.New("too deep")

func (w *jsonWalker) token() (json.Token, error) {
	token, err := w.decoder.Token()
	if err != nil {
		return nil, err
	}
	end := w.decoder.InputOffset()
	if _, isText := token.(string); isText && hasLoneSurrogate(string(w.text[w.scanned:end])) {
		w.loneSurrogate = true
	}
	w.scanned = end
	return token, nil
}

// value reads one value and passes it to take: a scalar unchanged, an object or array as an empty one.
func (w *jsonWalker) value(depth int, take func(any)) error {
	token, err := w.token()
	if err != nil {
		return err
	}
	delimiter, nested := token.(json.Delim)
	switch {
	case !nested:
		take(token)
		return nil
	case depth > maxDepth:
		return errTooDeep
	case delimiter == '{':
		take(map[string]any{})
		return w.members(depth)
	default:
		take([]any{})
		return w.elements(depth)
	}
}

func (w *jsonWalker) members(depth int) error {
	names := map[string]bool{}
	for w.decoder.More() {
		token, err := w.token()
		if err != nil {
			return err
		}
		name, isText := token.(string)
		if !isText {
			return errors.New("a name that is no string")
		}
		w.duplicate = w.duplicate || names[name]
		names[name] = true
		take := func(any) {}
		if depth == 1 {
			take = func(v any) { w.fields[name] = v }
		}
		if err := w.value(depth+1, take); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

func (w *jsonWalker) elements(depth int) error {
	for w.decoder.More() {
		if err := w.value(depth+1, func(any) {}); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// hasLoneSurrogate reports whether a quoted text has an escaped half of a surrogate pair.
func hasLoneSurrogate(quoted string) bool {
	high := false // the last escape was the first half
	for i := 0; i < len(quoted); {
		unit, width := uint64(0), 1
		if quoted[i] == '\\' && i+1 < len(quoted) {
			width = 2
			if quoted[i+1] == 'u' && i+6 <= len(quoted) {
				width = 6
				unit, _ = strconv.ParseUint(strings.ToLower(quoted[i+2:i+6]), 16, 16)
			}
		}
		low := 0xDC00 <= unit && unit < 0xE000
		if high != low {
			return true
		}
		high = 0xD800 <= unit && unit < 0xDC00
		i += width
	}
	return high
}
