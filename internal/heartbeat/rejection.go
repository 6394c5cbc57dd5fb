package heartbeat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reason is the stable code that says why a record is not a reading.
type Reason string

// The reasons, in the order in which they are looked for: a record has the first that applies.
const (
	Empty              Reason = "empty"
	TooLarge           Reason = "too_large"
	BadUTF8            Reason = "bad_utf8"
	NotJSON            Reason = "not_json"
	NotObject          Reason = "not_object"
	DuplicateField     Reason = "duplicate_field"
	MissingField       Reason = "missing_field"
	WrongType          Reason = "wrong_type"
	BadCustomerID      Reason = "bad_customer_id"
	BadTimestamp       Reason = "bad_timestamp"
	TimestampRange     Reason = "timestamp_out_of_range"
	RejectedByDatabase Reason = "rejected_by_database"
)

// Rejection is the error of a record that is not a reading.
type Rejection struct {
	Reason   Reason
	Detail   string // for a person; valid UTF-8 without NUL, at most maxDetailBytes
	Customer string // the customer's id where it was readable, else empty
}

// maxDetailBytes bounds what a dead letter says of itself, whatever was in the record.
const maxDetailBytes = 300

// Reject returns a rejection whose detail is fit to be stored, wherever its text comes from: it is cut to a few
// hundred bytes, and what is not UTF-8 or is NUL is left out.
func Reject(reason Reason, detail string) *Rejection {
	detail = detail[:min(len(detail), maxDetailBytes)]
	detail = strings.ReplaceAll(strings.ToValidUTF8(detail, ""), "\x00", "")
	return &Rejection{Reason: reason, Detail: detail}
}

func (r *Rejection) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Detail) }

// excerpt quotes the start of a value for a person: printable and short, whatever the value is.
func excerpt[T ~string | ~[]byte](text T) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(string(text))
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return strconv.Quote(string(text[:end])) + "…"
}
