package heartbeat

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTimestampIsReadAsUTCMicroseconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"2026-02-20T10:00:00Z":                      time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC),
		"2026-02-20 10:00:00Z":                      time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC),
		"2026-02-20T10:00:00+00:00":                 time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC),
		"2026-02-20T10:00:00-00:00":                 time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC),
		"2026-02-20T10:00:00.123456+00:00":          time.Date(2026, 2, 20, 10, 0, 0, 123_456_000, time.UTC),
		"2026-02-20T10:00:00.1Z":                    time.Date(2026, 2, 20, 10, 0, 0, 100_000_000, time.UTC),
		"2026-02-20T10:00:00.000001Z":               time.Date(2026, 2, 20, 10, 0, 0, 1_000, time.UTC),
		"2026-02-20T10:00:00.1234569Z":              time.Date(2026, 2, 20, 10, 0, 0, 123_456_000, time.UTC),
		"2026-02-20T10:00:00.123456999999999999Z":   time.Date(2026, 2, 20, 10, 0, 0, 123_456_000, time.UTC),
		"2026-02-20T10:00:00.0000009Z":              time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC),
		"1969-12-31T23:59:59.9999999Z":              time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		"2026-02-20T10:00:00+05:30":                 time.Date(2026, 2, 20, 4, 30, 0, 0, time.UTC),
		"2026-02-20T10:00:00-23:59":                 time.Date(2026, 2, 21, 9, 59, 0, 0, time.UTC),
		"2026-01-01T00:30:00+01:00":                 time.Date(2025, 12, 31, 23, 30, 0, 0, time.UTC),
		"2024-02-29T00:00:00Z":                      time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
		"2000-02-29T23:59:59Z":                      time.Date(2000, 2, 29, 23, 59, 59, 0, time.UTC),
		"2026-12-31T23:59:59.999999Z":               time.Date(2026, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		"0001-01-01T00:00:00Z":                      {},
		"0000-01-01T00:00:00+23:59":                 time.Date(-1, 12, 31, 0, 1, 0, 0, time.UTC),
		"9999-12-31T23:59:59-23:59":                 time.Date(10000, 1, 1, 23, 58, 59, 0, time.UTC),
		"2026-02-20T10:00:00." + zeros(1000) + "1Z": time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC),
	} {
		if got, ok := parseTimestamp([]byte(text)); !ok || got != want {
			t.Errorf("timestamp %.50q is read as %v, %t, want %v", text, got, ok, want)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

// badTimestamps are times as other formats, careless clocks and attackers write them.
var badTimestamps = []string{
	"",
	" ",
	"Z",
	"now",
	"1771581600",
	"2026-02-20",
	"2026-02-20T10:00Z",
	"2026-02-20T10:00:00",        // no offset
	"2026-02-20T10:00:00.123456", // no offset
	"2026-02-20 10:00:00",
	"2026-02-20T10:00:00.Z",
	"2026-02-20T10:00:00,5Z",
	"2026-02-20T10:00:00.5.5Z",
	"2026-02-20T10:00:00.5 Z",
	"2026-02-20T10:00:00 Z",
	"2026-02-20  10:00:00Z",
	"2026-02-20t10:00:00Z",
	"2026-02-20T10:00:00z",
	"2026-02-20_10:00:00Z",
	"2026-02-20\t10:00:00Z",
	"2026-02-20T10:00:00Z ",
	" 2026-02-20T10:00:00Z",
	"2026-02-20T10:00:00Z\n",
	"2026-02-20T10:00:00Z\x00",
	"2026-02-20T10:00:00ZZ",
	"2026-02-20T10:00:00UTC",
	"2026-02-20T10:00:00+0000",
	"2026-02-20T10:00:00+00",
	"2026-02-20T10:00:00+0:00",
	"2026-02-20T10:00:00+00:0",
	"2026-02-20T10:00:00+00:00:00",
	"2026-02-20T10:00:00+24:00",
	"2026-02-20T10:00:00+25:00",
	"2026-02-20T10:00:00+00:60",
	"2026-02-20T10:00:00±00:00",
	"2026-02-20T10:00:00\u221200:00", // a typographic minus
	"2026-02-20T24:00:00Z",
	"2026-02-20T25:00:00Z",
	"2026-02-20T10:60:00Z",
	"2026-02-20T10:00:60Z",
	"2026-06-30T23:59:60Z", // a leap second
	"2026-02-20T1:00:00Z",
	"2026-02-30T10:00:00Z",
	"2026-02-29T10:00:00Z",
	"2100-02-29T10:00:00Z",
	"2026-04-31T10:00:00Z",
	"2026-06-31T10:00:00Z",
	"2026-09-31T10:00:00Z",
	"2026-11-31T10:00:00Z",
	"2026-01-32T10:00:00Z",
	"2026-01-00T10:00:00Z",
	"2026-00-01T10:00:00Z",
	"2026-13-01T10:00:00Z",
	"2026-2-20T10:00:00Z",
	"26-02-20T10:00:00Z",
	"02026-02-20T10:00:00Z",
	"-2026-02-20T10:00:00Z",
	"+2026-02-20T10:00:00Z",
	"20260220T100000Z",
	"2026/02/20T10:00:00Z",
	"2026.02-20T10:00:00Z",
	"2026-02.20T10:00:00Z",
	"2026-02-20T10.00:00Z",
	"2026-02-20T10:00.00Z",
	"2026-02-20T10:00:00+01.00",
	"20-02-2026T10:00:00Z",
	"2026-W08-5T10:00:00Z",
	"Fri, 20 Feb 2026 10:00:00 GMT",
	"2\x1026-02-20T10:00:00Z",
	"202:-02-20T10:00:00Z",
	"202/-02-20T10:00:00Z",
	"\uff12\uff10\uff12\uff16-02-20T10:00:00Z",
}

func TestTimestampRefusesEveryOtherForm(t *testing.T) {
	t.Parallel()
	for _, text := range badTimestamps {
		if at, ok := parseTimestamp([]byte(text)); ok {
			t.Errorf("timestamp %q is read as %v, want it refused", text, at)
		}
	}
}

func TestTimestampKnowsEveryDayThereIs(t *testing.T) {
	t.Parallel()
	for year := 1999; year <= 2101; year++ {
		for month := time.January; month <= time.December; month++ {
			for day := 1; day <= 31; day++ {
				at := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
				exists := at.Month() == month
				text := time.Date(year, month, 1, 12, 0, 0, 0, time.UTC).Format("2006-01-") + twoDigits(day) + "T12:00:00Z"
				if got, ok := parseTimestamp([]byte(text)); ok != exists || exists && got != at {
					t.Errorf("timestamp %s is read as %v, %t, want %v, %t", text, got, ok, at, exists)
				}
			}
		}
	}
}

func twoDigits(n int) string { return string([]byte{'0' + byte(n/10), '0' + byte(n%10)}) }

func TestTimestampReadsWhatGoPrints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "offset")
		year9999 := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		at := time.Unix(
			rapid.Int64Range(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC).Unix(), year9999.Unix()).Draw(t, "seconds"),
			rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"),
		).In(time.FixedZone("", offset*60))
		layout := rapid.SampledFrom([]string{
			time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.000000000-07:00",
		}).Draw(t, "layout")
		checkTimestamp(t, at, at.Format(layout))
	})
}

func TestTimestampReadsSmallFractionsAndOffsets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1970-01-01T00:01:00+00:01":      time.Unix(0, 0),
		"1970-01-01T00:00:00.00000001Z":  time.Unix(0, 10),
		"1970-01-01T00:00:00.000000999Z": time.Unix(0, 999),
	} {
		checkTimestamp(t, want, text)
	}
}

func checkTimestamp(t fataler, at time.Time, text string) {
	t.Helper()
	if got, ok := parseTimestamp([]byte(text)); !ok || !got.Equal(at.Truncate(time.Microsecond)) {
		t.Fatalf("timestamp %s is read as %v, %t, want %v", text, got, ok, at.Truncate(time.Microsecond))
	}
}

// referenceTimestamp reads a timestamp with a regular expression and time.Parse.
func referenceTimestamp(text string) (time.Time, bool) {
	if !timestampPattern.MatchString(text) {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "T", 1))
	return at.UTC().Truncate(time.Microsecond), err == nil
}

// The pattern also holds the ranges in which time.Parse is more lenient than RFC 3339: those of the offset.
var timestampPattern = regexp.MustCompile(
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])\z`)

func FuzzTimestamp(f *testing.F) {
	for _, text := range badTimestamps {
		f.Add(text)
	}
	for _, text := range []string{
		"2026-02-20T10:00:00.123456+00:00", "2026-02-20 10:00:00Z", "2024-02-29T23:59:59.9999999-23:59",
		"0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59.9999999Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseTimestamp([]byte(text))
		want, wanted := referenceTimestamp(text)
		if ok != wanted || ok && got != want {
			t.Fatalf("timestamp %q is read as %v, %t, want %v, %t", text, got, ok, want, wanted)
		}
	})
}
