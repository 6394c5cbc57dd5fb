package heartbeat

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// checkAgainstReference decodes the record and holds the result against the reference and against what every result promises.
func checkAgainstReference(t fataler, decoder *Decoder, record Record) {
	t.Helper()
	before := bytes.Clone(record.Value)
	got, rejection := decoder.Decode(record)
	if !bytes.Equal(record.Value, before) {
		t.Fatalf("decoding changed %q into %q", before, record.Value)
	}
	want, reason := reference(record, decoder.Retention)
	if rejection == nil {
		if reason != "" || got != want {
			t.Fatalf("%q is %+v, want %+v %s", record.Value, got, want, reason)
		}
		checkScan(t, decoder, record.Value)
		return
	}
	checkDetail(t, rejection.Detail)
	if rejection.Detail == "" || rejection.Customer != "" && !wellFormed.MatchString(rejection.Customer) {
		t.Fatalf("%q has an empty detail or a bad customer: %+v", record.Value, rejection)
	}
	// In a text that is not JSON, only as much as can be read can be searched for lone surrogates.
	if rejection.Reason == BadUTF8 && reason == NotJSON && surrogate.Match(record.Value) {
		return
	}
	if rejection.Reason != reason {
		t.Fatalf("%q is rejected with %v, want %q", record.Value, rejection, reason)
	}
}

var (
	wellFormed = regexp.MustCompile(`^CUST_([0-9]{5}|[1-9][0-9]{5,8})\z`)
	surrogate  = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
)

// checkScan wants the second, lenient pass to find no fault in what the strict one accepted.
func checkScan(t fataler, decoder *Decoder, value []byte) {
	t.Helper()
	if kind, err := decoder.scan(value); kind != '{' || err != nil {
		t.Fatalf("%q is accepted, but a second look finds %s, %v", value, kind, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, value := range append(slices.Concat(values, scraps), good, extra("note", `"\ud83d\ude00"`), extra("note", `"\ud800"`), extra("contact", "false"),
		extra("device_id", `"w-7","battery":0.71,"contact":true,"steps":12`),
		with("customer_id", `"CUST_100000"`), with("heart_rate", "1e999"), with("heart_rate", `"75"`), with("timestamp", "null"),
		with("timestamp", `"2026-02-20 10:00:00.5-00:30"`), good+good, good[:40], "["+good+"]", extra("a", `{"b":1,"\u0062":2}`)) {
		f.Add([]byte(value), kafka.UnixMilli(), int64(0))
	}
	f.Add([]byte(good), kafka.Add(time.Hour).UnixMilli(), int64(60))
	f.Add([]byte(good), kafka.Add(-time.Hour).UnixMilli(), int64(60))
	f.Fuzz(func(t *testing.T, value []byte, milliseconds, retention int64) {
		// Within the years in which time.Time.Sub, which the reference uses, does not saturate.
		const century = 100 * 365 * 24 * 60 * 60
		record := Record{Value: value, Timestamp: time.UnixMilli(milliseconds % (century * 1000))}
		decoder := &Decoder{Retention: time.Duration(retention%century) * time.Second}
		checkAgainstReference(t, decoder, record)
		checkAgainstReference(t, decoder, Record{Value: []byte(good), Timestamp: kafka})
	})
}

// The pieces from which odd events are put together.
var (
	names = []string{
		`"customer_id"`, `"\u0063ustomer_id"`, `"heart_rate"`, `"heart\u005frate"`, `"timestamp"`, `"Heart_Rate"`, `"extra"`, `""`,
	}
	values = []string{
		`null`, `true`, `75`, `-0`, `1e999`, `39.9`, `300.4`, `"75"`, `""`, `{}`, `[]`, `[1,{"a":2}]`, `[[{"a":1,"a":2}]]`, `{"a":"\ud800"}`,
		`"CUST_00042"`, `"CUST_0004\u0032"`, `"CUST_000042"`, `"CUST_1"`, `"cust_00042"`, `"CUST_999999999"`, `"\ud83d\ude00"`,
		`"2026-02-20T10:00:00Z"`, `"2026-02-20 10:00:00.1234567\u002b00:00"`, `"2026-02-20T10:00:00"`, `"2026-02-20T09:00:00Z"`,
		`"2026-02-20T08:59:59.999999Z"`, `"2026-02-20T10:10:00.000001Z"`, `"1999-12-31T23:59:59Z"`, `"2026-02-30T10:00:00Z"`,
	}
	scraps = []string{
		`{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", `"`, `\`, `\ud800`, `\udc00`, "\xff", "\x00", "\ufeff", "é", `NaN`, `0`, `-`, `e`,
	}
)

// odd draws an event with members in any order, some of them wrong, missing or twice, and damages some of the texts.
func odd(t *rapid.T) []byte {
	usually := func(common, label string) string {
		return rapid.OneOf(rapid.Just(common), rapid.Just(common), rapid.SampledFrom(values)).Draw(t, label)
	}
	members := []string{
		`"customer_id":` + usually(`"CUST_00042"`, "customer"),
		`"heart_rate":` + usually(`75`, "rate"),
		`"timestamp":` + usually(`"2026-02-20T10:00:00Z"`, "timestamp"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "extras") {
		name := rapid.SampledFrom(names).Draw(t, "name")
		members = append(members, name+":"+usually("0", "value"))
	}
	members = rapid.Permutation(members).Draw(t, "members")
	missing := rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "missing")
	value := []byte("{" + strings.Join(members[missing:], ",") + "}")
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "damage") {
		from := rapid.IntRange(0, len(value)).Draw(t, "from")
		to := rapid.IntRange(from, min(from+3, len(value))).Draw(t, "to")
		value = slices.Replace(value, from, to, []byte(rapid.SampledFrom(scraps).Draw(t, "scrap"))...)
	}
	return value
}

// Each of these values has shown a defect of the decoder or of the reference.
func TestDecoderAgreesWithTheReferenceOnFormerDefects(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"a second value behind an object without customer_id": `{"{customer_id":"CUST_00042","heart_rate":75,"timestamp":"2026-02-20T10:00:00Z"}{`,
		"an escaped plus sign in the offset":                  `{"customer_id":"CUST_00042","heart_rate":75,"timestamp":"2026-02-20 10:00:00.1234567\u002b00:00"}`,
		"a wrong type before a missing field":                 `{"heart_rate":75,"timestamp":"2026-02-20T10:00:00Z","customer_id":0}`,
		"a duplicate name, first of the wrong type":           `{"timestamp":"2026-02-20T10:00:00Z","heart_rate":75,"customer_id":0,"customer_id":"CUST_00042"}`,
		"a lone surrogate in a name before a wrong type":      `{"\ud800heart_rate":75,"timestamp":"2026-02-20T10:00:00Z","customer_id":0,"heart_rate":0}`,
		"a missing field after a wrong type":                  `{"heart_rate":75,"timestamp":true,"Heart_Rate":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkAgainstReference(t, &Decoder{Retention: time.Hour}, Record{Value: []byte(value), Timestamp: kafka})
		})
	}
}

func TestDecoderAgreesWithTheReference(t *testing.T) {
	t.Parallel()
	decoder := &Decoder{Retention: time.Hour}
	rapid.Check(t, func(t *rapid.T) {
		checkAgainstReference(t, decoder, Record{Value: odd(t), Timestamp: kafka})
	})
}
