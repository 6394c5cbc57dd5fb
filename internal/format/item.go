package format

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"heartbeat/internal/heartbeat"
)

// Sample is one heart rate as its source has it.
type Sample struct {
	Subject string    // whose it is, in the words of the source: a customer id, the id of a patient; empty: not named
	Rate    float64   // beats a minute, possibly infinite: a number beyond the range of a double
	Time    time.Time // UTC, microseconds
	Device  string    // empty: not named
}

// Item is a sample, or why there is none at its position.
type Item struct {
	Position  int64 // of an entry, an element or a line; the first is 0
	Sample    Sample
	Rejection *heartbeat.Rejection // nil: there is a sample
}

// Items is what a reader returns. An error ends it: the rest of the input cannot be read. Strings of an item remain valid.
type Items = iter.Seq2[Item, error]

// The reasons for leaving something out, beside those of package heartbeat. The first ones are no faults of the input.
const (
	NotHeartRate         heartbeat.Reason = "not_heart_rate"        // another measurement or kind of document
	EnteredInError       heartbeat.Reason = "entered_in_error"      // withdrawn by its author
	Cancelled            heartbeat.Reason = "cancelled"             // never measured
	NoValue              heartbeat.Reason = "no_value"              // the device says why it has none
	DescriptiveStatistic heartbeat.Reason = "descriptive_statistic" // an average, minimum or other figure of many readings
	LowConfidence        heartbeat.Reason = "low_confidence"        // the device does not trust its own value

	WrongUnit         heartbeat.Reason = "wrong_unit"
	NotExact          heartbeat.Reason = "not_exact"          // a value with < or >
	NoSuchTime        heartbeat.Reason = "no_such_time"       // a local time that daylight saving skips
	TransactionFailed heartbeat.Reason = "transaction_failed" // another entry of the same transaction has a fault
)

// Fault reports whether a reason says that something is wrong with the input, rather than that it is nothing to store.
func Fault(reason heartbeat.Reason) bool {
	switch reason {
	case NotHeartRate, EnteredInError, Cancelled, NoValue, DescriptiveStatistic, LowConfidence:
		return false
	default:
		return true
	}
}

func reject(reason heartbeat.Reason, format string, args ...any) *heartbeat.Rejection {
	return heartbeat.Reject(reason, fmt.Sprintf(format, args...))
}

const timeForm = "a date and time with an offset, such as 2026-02-20T10:00:00Z"

// readTime reads a time with an offset.
func readTime(field, text string) (time.Time, *heartbeat.Rejection) {
	at, ok := heartbeat.ParseTimestamp(text)
	switch {
	case ok:
		return at, nil
	case text == "":
		return at, reject(heartbeat.MissingField, "%s is missing", field)
	default:
		return at, reject(heartbeat.BadTimestamp, "%s is %s, want %s", field, quote(text), timeForm)
	}
}

// readDecimal reads a number that a file has as text: digits, possibly with a sign and a fraction.
func readDecimal(field, text string) (float64, *heartbeat.Rejection) {
	if text == "" {
		return 0, reject(heartbeat.MissingField, "%s is missing", field)
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "+-.0123456789") != "" {
		return 0, reject(heartbeat.WrongType, "%s is %s, want a number", field, quote(text))
	}
	return number, nil
}

// maxNameBytes bounds what is kept of a device's or a person's name.
const maxNameBytes = 200

// shorten cuts a name to what is kept of it.
func shorten(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), maxNameBytes)], "")
}

// quote quotes the start of a text for a person.
func quote(text string) string {
	const most = 40
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q…", text[:most])
}
