package heartbeat

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRejectionSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		" ":                                  "not_json: the value is blank",
		`{"a":1`:                             "not_json: the text ends before the JSON value does",
		good + " " + good:                    "not_json: more text after the JSON value",
		with("heart_rate", "NaN"):            "not_json: invalid character 'N' at start of value at byte 41",
		nested("[", "", "]", 200_000):        "not_json: exceeded max depth at byte 10000",
		with("customer_id", "\"CUST_\xff\""): "bad_utf8: byte 21 is not UTF-8",
		`{"a":"\ud800"}`:                     "bad_utf8: the string before byte 13 has half of a surrogate pair",
		"[]":                                 "not_object: the value is an array, want an object",
		"null":                               "not_object: the value is null, want an object",
		`{"a":{"b/c":1,"b/c":2}}`:            `duplicate_field: two fields of one object are named "b/c"`,
		`{"heart_rate":null,"timestamp":1}`:  "missing_field: customer_id is missing, heart_rate is null",
		with("heart_rate", `"75"`):           "wrong_type: heart_rate is a string, want a number",
		`{"customer_id":[],"heart_rate":false,"timestamp":{}}`: "wrong_type: customer_id is an array, want a string, " +
			"heart_rate is a boolean, want a number, timestamp is an object, want a string",
		with("customer_id", `"cust_42\n"`): `bad_customer_id: customer_id is "cust_42\n", ` +
			"want CUST_ and 5 digits, or 6 to 9 digits without a leading zero",
		with("timestamp", `"2026-02-20T10:00:00"`): `bad_timestamp: timestamp is "2026-02-20T10:00:00", ` +
			"want a date and time with an offset, such as 2026-02-20T10:00:00.123456+00:00",
		with("timestamp", `"1999-12-31T23:59:59Z"`): "timestamp_out_of_range: timestamp 1999-12-31T23:59:59Z is before 2000",
		with("timestamp", `"2026-02-20T10:10:00.000001Z"`): "timestamp_out_of_range: timestamp 2026-02-20T10:10:00.000001Z is " +
			"more than 10m0s ahead of the record's Kafka timestamp 2026-02-20T10:00:00Z",
		with("timestamp", `"2026-02-19T09:00:00+01:00"`): "timestamp_out_of_range: timestamp 2026-02-19T08:00:00Z is " +
			"over the retention of 24h0m0s before the record's Kafka timestamp 2026-02-20T10:00:00Z",
	} {
		decoder := Decoder{Retention: 24 * time.Hour}
		_, rejection := decoder.Decode(Record{Value: []byte(value), Timestamp: kafka})
		if rejection == nil {
			t.Errorf("%.100q is accepted, want %s", value, want)
			continue
		}
		if diff := cmp.Diff(want, rejection.Error()); diff != "" {
			t.Errorf("rejection of %.100q (-want +got):\n%s", value, diff)
		}
	}
}

func TestRejectionDetailIsAlwaysFitToBeStored(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]string{
		"plain":                        "plain",
		"a\x00b":                       "ab",
		"a\xffb":                       "ab",
		strings.Repeat("é", 200):       strings.Repeat("é", maxDetailBytes/2),
		"x" + strings.Repeat("é", 200): "x" + strings.Repeat("é", maxDetailBytes/2-1),
	} {
		if got := Reject(NotJSON, detail).Detail; got != want {
			t.Errorf("detail of %.20q… is %q, want %q", detail, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 0, 2*maxDetailBytes).Draw(t, "bytes")
		checkDetail(t, Reject(NotJSON, string(bytes)).Detail)
		checkDetail(t, excerpt(bytes))
	})
}

func TestExcerptEndsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             `""`,
		"a\n\x00\xff":                  `"a\n\x00\xff"`,
		strings.Repeat("a", 40):        `"` + strings.Repeat("a", 40) + `"`,
		strings.Repeat("a", 41):        `"` + strings.Repeat("a", 40) + `"…`,
		strings.Repeat("a", 39) + "éé": `"` + strings.Repeat("a", 39) + `"…`,
		strings.Repeat("é", 21):        `"` + strings.Repeat("é", 20) + `"…`,
	} {
		if got := excerpt(text); got != want {
			t.Errorf("excerpt(%q) = %s, want %s", text, got, want)
		}
	}
}

// fataler is the part of a test that checks below need, so that they serve plain, fuzz and property tests.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkDetail(t fataler, detail string) {
	t.Helper()
	if len(detail) > maxDetailBytes || !utf8.ValidString(detail) || strings.ContainsRune(detail, 0) {
		t.Fatalf("a detail of %d bytes is too long, not UTF-8 or has a NUL: %q", len(detail), detail)
	}
}
