package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The oracle agrees with the contract's own examples: the suite is only as good as its oracle.
func TestOracleFollowsTheContract(t *testing.T) {
	t.Parallel()
	kafkaTime := time.Date(2026, 2, 20, 10, 0, 1, 0, time.UTC)
	for _, c := range boundaryCases(kafkaTime) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := expectedOutcome(c.value, kafkaTime, 0)
			if got.Class != c.class || got.Reason != c.reason || got.BPM != c.bpm {
				t.Errorf("expectedOutcome(%.80q) = %+v, want class %q, bpm %d, reason %q", c.value, got, c.class, c.bpm, c.reason)
			}
		})
	}
}

// boundaryCase is a value that the contract names, with the outcome that the contract states.
type boundaryCase struct {
	name   string
	value  []byte
	class  string
	bpm    int64
	reason string
}

// boundaryCases are all values named in the contract's section 3 and the limits between them, for a record of the
// given Kafka timestamp.
func boundaryCases(kafkaTime time.Time) []boundaryCase {
	cases := append(rateCases(kafkaTime), textCases(kafkaTime)...)
	cases = append(cases, customerCases(kafkaTime)...)
	return append(cases, timeCases(kafkaTime)...)
}

func event(customer, rate, timestamp string) []byte {
	return fmt.Appendf(nil, `{"customer_id":"%s","heart_rate":%s,"timestamp":"%s"}`, customer, rate, timestamp)
}

func formatTimestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000+00:00") }

func rateCases(now time.Time) []boundaryCase {
	var cases []boundaryCase
	for _, c := range []struct {
		rate, class string
		bpm         int64
	}{
		{"-1e999", "INVALID", -2147483648}, {"-5", "INVALID", -5}, {"-1", "INVALID", -1}, {"-0.4", "INVALID", 0}, {"-0.5", "INVALID", -1},
		{"-0", "INVALID", 0}, {"-0.0", "INVALID", 0}, {"0", "INVALID", 0}, {"0e5", "INVALID", 0}, {"1e-400", "INVALID", 0},
		{"0.0001", "BRADYCARDIA", 1}, {"0.2", "BRADYCARDIA", 1}, {"0.5", "BRADYCARDIA", 1}, {"1", "BRADYCARDIA", 1}, {"15", "BRADYCARDIA", 15},
		{"38.5", "BRADYCARDIA", 39}, {"39", "BRADYCARDIA", 39}, {"39.4", "BRADYCARDIA", 39}, {"39.5", "BRADYCARDIA", 39}, {"39.9", "BRADYCARDIA", 39},
		{"39.99999999999999", "BRADYCARDIA", 39}, {"40", "NORMAL", 40}, {"4e1", "NORMAL", 40}, {"40.0", "NORMAL", 40}, {"40.5", "NORMAL", 41},
		{"72.5", "NORMAL", 73}, {"75", "NORMAL", 75}, {"179.5", "NORMAL", 180}, {"180", "NORMAL", 180}, {"180.0", "NORMAL", 180},
		{"180.00000000000003", "TACHYCARDIA", 181}, {"180.4", "TACHYCARDIA", 181}, {"180.9", "TACHYCARDIA", 181}, {"181", "TACHYCARDIA", 181},
		{"181.5", "TACHYCARDIA", 182}, {"220", "TACHYCARDIA", 220}, {"299.5", "TACHYCARDIA", 300}, {"300", "TACHYCARDIA", 300},
		{"300.00000000000006", "INVALID", 301}, {"300.4", "INVALID", 301}, {"300.9", "INVALID", 301}, {"301", "INVALID", 301}, {"301.5", "INVALID", 302},
		{"400", "INVALID", 400}, {"99999", "INVALID", 99999}, {"2147483647", "INVALID", 2147483647}, {"2147483648", "INVALID", 2147483647},
		{"1e20", "INVALID", 2147483647}, {"1e308", "INVALID", 2147483647}, {"1e999", "INVALID", 2147483647}, {"-2147483649", "INVALID", -2147483648},
	} {
		cases = append(cases, boundaryCase{name: "rate " + c.rate, value: event("CUST_00042", c.rate, formatTimestamp(now)), class: c.class, bpm: c.bpm})
	}
	for _, rate := range []string{`true`, `false`, `"75"`, `"NaN"`, `[75]`, `{"v":75}`} {
		cases = append(cases, boundaryCase{name: "rate " + rate, value: event("CUST_00042", rate, formatTimestamp(now)), reason: "wrong_type"})
	}
	for _, rate := range []string{`NaN`, `Infinity`, `-Infinity`, `+75`, `075`, `.5`, `75.`, `0x4b`, `1e`, `75bpm`, ``, `-`} {
		cases = append(cases, boundaryCase{name: "rate not JSON " + rate, value: event("CUST_00042", rate, formatTimestamp(now)), reason: "not_json"})
	}
	return append(cases, boundaryCase{name: "rate null", value: event("CUST_00042", "null", formatTimestamp(now)), reason: "missing_field"})
}

func textCases(now time.Time) []boundaryCase {
	good := string(event("CUST_00042", "75", formatTimestamp(now)))
	with := func(extra string) string { return good[:len(good)-1] + "," + extra + "}" }
	normal := func(name, text string) boundaryCase {
		return boundaryCase{name: name, value: []byte(text), class: "NORMAL", bpm: 75}
	}
	bad := func(reason, name, text string) boundaryCase {
		return boundaryCase{name: name, value: []byte(text), reason: reason}
	}
	spaced := strings.NewReplacer(":\"", " :\t\"", ",", " ,\r\n ", "{", "{ ").Replace(good)
	return []boundaryCase{
		{name: "tombstone", value: nil, reason: "empty"}, {name: "no bytes", value: []byte{}, reason: "empty"},
		normal("plain", good), normal("spaced", spaced), normal("blanks around", " \r\n\t"+good+"\n\n"),
		normal("700 KB of blanks", good+strings.Repeat(" ", 700<<10)), normal("exactly 1 MiB", good+strings.Repeat(" ", 1<<20-len(good))),
		bad("too_large", "1 MiB and a byte", good+strings.Repeat(" ", 1<<20-len(good)+1)),
		normal("extra field", with(`"device":{"model":"X","firmware":[1,2,3]}`)), normal("extra null", with(`"note":null`)),
		normal("escaped names", strings.Replace(good, "heart_rate", `heart\u005frate`, 1)),
		normal("escaped id", strings.Replace(good, "CUST_", `\u0043UST_`, 1)),
		normal("escaped pair", with(`"note":"\ud83d\ude00"`)), normal("real emoji", with(`"note":"😀"`)), normal("escaped NUL elsewhere", with(`"note":"\u0000"`)),
		normal("name in other case is another field", with(`"Heart_Rate":"x"`)),
		normal("depth 1000", with(`"deep":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000))),
		bad("not_json", "depth 200000", with(`"deep":`+strings.Repeat("[", 200_000)+strings.Repeat("]", 200_000))),
		bad("bad_utf8", "stray byte", strings.Replace(good, "42", "\xff2", 1)), bad("bad_utf8", "stray byte in no JSON", "\xc3("),
		bad("bad_utf8", "overlong", with("\"n\":\"\xc0\xaf\"")), bad("bad_utf8", "raw surrogate", with("\"n\":\"\xed\xa0\x80\"")),
		bad("bad_utf8", "lone high surrogate", with(`"n":"\ud800"`)), bad("bad_utf8", "lone low surrogate", with(`"n":"\uDC00x"`)),
		bad("bad_utf8", "surrogates in the wrong order", with(`"n":"\ude00\ud83d"`)), bad("bad_utf8", "lone surrogate in a name", with(`"\udfff":1`)),
		bad("not_json", "blank", "  "), bad("not_json", "words", "hello"), bad("not_json", "truncated", good[:40]), bad("not_json", "byte order mark", "\ufeff"+good),
		bad("not_json", "two objects", good+good), bad("not_json", "two lines", good+"\n"+good), bad("not_json", "trailing garbage", good+"x"),
		bad("not_json", "trailing comma", good[:len(good)-1]+",}"), bad("not_json", "single quotes", strings.ReplaceAll(good, `"`, `'`)), bad("not_json", "raw NUL", good+"\x00"),
		bad("not_json", "raw NUL in a string", strings.Replace(good, "CUST", "CU\x00ST", 1)), bad("not_json", "comment", good+"//"), bad("not_json", "raw newline in a string", strings.Replace(good, "CUST", "CU\nST", 1)),
		bad("not_object", "array", "["+good+"]"), bad("not_object", "number", "75"), bad("not_object", "null", "null"), bad("not_object", "true", "true"), bad("not_object", "string", `"CUST_00042"`),
		bad("not_object", "empty array", "[]"),
		bad("duplicate_field", "duplicate rate", with(`"heart_rate":75`)), bad("duplicate_field", "duplicate extra", with(`"a":1,"a":2`)),
		bad("duplicate_field", "duplicate deep down", with(`"a":[{"b":{"c":1,"c":1}}]`)), bad("duplicate_field", "duplicate by escape", with(`"\u0068eart_rate":75`)),
		bad("duplicate_field", "duplicate before a missing field", `{"a":1,"a":2}`),
		bad("missing_field", "empty object", "{}"), bad("missing_field", "no id", `{"heart_rate":75,"timestamp":"`+formatTimestamp(now)+`"}`),
		bad("missing_field", "no rate", `{"customer_id":"CUST_00042","timestamp":"`+formatTimestamp(now)+`"}`), bad("missing_field", "no time", `{"customer_id":"CUST_00042","heart_rate":75}`),
		bad("missing_field", "null id", `{"customer_id":null,"heart_rate":75,"timestamp":"`+formatTimestamp(now)+`"}`), bad("missing_field", "null time and a wrong type", `{"customer_id":7,"heart_rate":75,"timestamp":null}`),
		bad("missing_field", "fields one level down", `{"data":`+good+`}`),
		bad("wrong_type", "number as id", `{"customer_id":42,"heart_rate":75,"timestamp":"`+formatTimestamp(now)+`"}`), bad("wrong_type", "number as time", `{"customer_id":"CUST_00042","heart_rate":75,"timestamp":1771581600}`),
		bad("wrong_type", "wrong type before a bad id", `{"customer_id":"","heart_rate":"75","timestamp":"x"}`),
	}
}

func customerCases(now time.Time) []boundaryCase {
	var cases []boundaryCase
	for _, id := range []string{"CUST_00000", "CUST_00001", "CUST_10000", "CUST_99999", "CUST_100000", "CUST_999999", "CUST_1000000", "CUST_999999999"} {
		cases = append(cases, boundaryCase{name: "id " + id, value: event(id, "75", formatTimestamp(now)), class: "NORMAL", bpm: 75})
	}
	for _, id := range []string{
		"", " ", "CUST_", "CUST_1", "CUST_0042", "CUST_000042", "CUST_0000000042", "CUST_1000000000", "cust_00001", "CUST-00001", "CUST00001",
		"CUST_00042 ", " CUST_00042", `CUST_00042\n`, "CUST_0004a", "CUST_０００４２", "CUST_٠٠٠٤٢", "XCUST_00042", "CUST_00042X", "CUST_-0042", "CUST_+0042",
		`CUST_00042\u0000`, `\u0000`, "CUST_00042'; DROP TABLE heartbeat_records; --", "CUST_12345/..", "CUST_123456789012345678901234567890",
	} {
		cases = append(cases, boundaryCase{name: fmt.Sprintf("id %q", id), value: event(id, "75", formatTimestamp(now)), reason: "bad_customer_id"})
	}
	return append(cases,
		boundaryCase{name: "bad id before a bad time", value: event("CUST_1", "75", "never"), reason: "bad_customer_id"})
}

func timeCases(now time.Time) []boundaryCase {
	var cases []boundaryCase
	add := func(reason string, texts ...string) {
		for _, text := range texts {
			c := boundaryCase{name: "time " + text, value: event("CUST_00042", "75", text), reason: reason}
			if reason == "" {
				c.class, c.bpm = "NORMAL", 75
			}
			cases = append(cases, c)
		}
	}
	ahead := now.Truncate(time.Millisecond).Add(10 * time.Minute)
	add("", formatTimestamp(now), "2000-01-01T00:00:00Z", "2000-01-01 00:00:00+00:00", "2026-02-20T10:00:00.123456+00:00", "2026-02-20T12:00:00.5+02:00",
		"2026-02-20T04:30:00-05:30", "2024-02-29T00:00:00Z", "2026-02-20T10:00:00.123456789Z", "2026-02-20T10:00:00.999999999999999999Z",
		"1999-12-31T23:00:00-01:00", "2020-02-20T10:00:00-00:00", "2020-01-01T00:00:00+23:59", ahead.Format("2006-01-02T15:04:05.000Z07:00"), ahead.Format("2006-01-02T15:04:05.000")+"000999Z")
	add("bad_timestamp", "", "now", "2026-02-20", "2026-02-20T10:00:00", "2026-02-20T10:00:00.5", "2026-02-20T25:00:00Z", "2026-02-20T24:00:00Z", "2026-02-20T10:60:00Z",
		"2026-02-20T10:00:60Z", "2026-02-30T10:00:00Z", "2025-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "2026-13-01T10:00:00Z", "2026-00-10T10:00:00Z", "2026-04-31T10:00:00Z", "2026-01-00T10:00:00Z", "2026-02-20T10:00:00+25:00",
		"2026-02-20T10:00:00+24:00", "2026-02-20T10:00:00+01:60", "2026-02-20T10:00:00+0100", "2026-02-20T10:00:00+01", "2026-02-20T10:00:00.Z", "2026-02-20T10:00:00,5Z",
		"2026-02-20  10:00:00Z", "2026-02-20_10:00:00Z", "2026-2-20T10:00:00Z", "2026-02-20T1:00:00Z", "+2026-02-20T10:00:00Z", "12026-02-20T10:00:00Z", "2026-02-20T10:00:00Z ", " 2026-02-20T10:00:00Z", "2026-02-20T10:00Z",
		"２０２６-02-20T10:00:00Z", "2026-02-20T10:00:00UTC", `2026-02-20T10:00:00Z\u0000`, "1771581600")
	add("timestamp_out_of_range", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00+00:01", "9999-12-31T23:59:59Z",
		ahead.Add(time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00"), ahead.Format("2006-01-02T15:04:05.000")+"001Z")
	return cases
}
