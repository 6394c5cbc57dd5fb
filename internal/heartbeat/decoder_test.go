package heartbeat

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kafka is the Kafka timestamp of the records in these tests.
var kafka = time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)

const good = `{"customer_id":"CUST_00042","heart_rate":75,"timestamp":"2026-02-20T10:00:00.123456+00:00"}`

// with returns the good event with one field replaced by other JSON.
func with(field, value string) string {
	members := map[string]string{
		"customer_id": `"CUST_00042"`, "heart_rate": `75`, "timestamp": `"2026-02-20T10:00:00.123456+00:00"`,
	}
	members[field] = value
	return fmt.Sprintf(`{"customer_id":%s,"heart_rate":%s,"timestamp":%s}`,
		members["customer_id"], members["heart_rate"], members["timestamp"])
}

// extra returns the good event with one more field of that name and JSON.
func extra(name, value string) string {
	return fmt.Sprintf(`{"customer_id":"CUST_00042","heart_rate":75,%q:%s,"timestamp":"2026-02-20T10:00:00Z"}`, name, value)
}

func nested(open, inner, shut string, depth int) string {
	return strings.Repeat(open, depth) + inner + strings.Repeat(shut, depth)
}

func TestDecoderReadsEvents(t *testing.T) {
	t.Parallel()
	plain := Reading{Customer: 42, Class: Normal, BPM: 75, Time: kafka}
	exact := Reading{Customer: 42, Class: Normal, BPM: 75, Time: kafka.Add(123_456 * time.Microsecond)}
	blanks := strings.Repeat(" \t\r\n", 175<<10)
	for name, test := range map[string]struct {
		value string
		want  Reading
	}{
		"the wire form":            {good, exact},
		"spaces":                   {" {\n\t\"customer_id\" : \"CUST_00042\" ,\r\n \"heart_rate\" : 75 , \"timestamp\" : \"2026-02-20T10:00:00Z\" } \n", plain},
		"any order":                {`{"timestamp":"2026-02-20T10:00:00Z","heart_rate":75,"customer_id":"CUST_00042"}`, plain},
		"a space for the T":        {with("timestamp", `"2026-02-20 10:00:00Z"`), plain},
		"another offset":           {with("timestamp", `"2026-02-20T15:30:00+05:30"`), plain},
		"nanoseconds":              {with("timestamp", `"2026-02-20T10:00:00.123456999Z"`), exact},
		"an escaped plus":          {with("timestamp", `"2026-02-20T10:00:00\u002B00:00"`), plain},
		"an escaped id":            {with("customer_id", `"\u0043UST_0004\u0032"`), exact},
		"an escaped name":          {`{"\u0063ustomer_id":"CUST_00042","heart\u005frate":75,"timestamp":"2026-02-20T10:00:00Z"}`, plain},
		"extra fields":             {extra("device", `{"id":[1,2,{"a":null}],"ok":true}`), plain},
		"an extra null":            {extra("note", `null`), plain},
		"names in other case":      {extra("Customer_ID", `"CUST_00001"`), plain},
		"an empty extra name":      {extra("", `1`), plain},
		"the same name elsewhere":  {extra("device", `{"customer_id":"CUST_00001","device":{"device":1}}`), plain},
		"text in other scripts":    {extra("name", `"Łucja 山田 😀 \ud83d\ude00"`), plain},
		"an escaped NUL":           {extra("note", `"\u0000"`), plain},
		"a surrogate spelled out":  {extra("note", `"\\ud800"`), plain},
		"replacement characters":   {extra("note", `"\ufffd`+"\ufffd\""), plain},
		"a fraction":               {with("heart_rate", `72.5`), Reading{42, Normal, 73, exact.Time}},
		"an exponent":              {with("heart_rate", `7.5E+1`), exact},
		"many digits":              {with("heart_rate", `75.`+zeros(1000)), exact},
		"a huge extra number":      {extra("count", `-1e999`), plain},
		"700 KB of blanks around":  {blanks[:350<<10] + good + blanks[:350<<10], exact},
		"arrays 1,000 deep":        {extra("deep", nested("[", "", "]", 1_000)), plain},
		"objects 1,000 deep":       {extra("deep", nested(`{"a":`, "1", "}", 1_000)), plain},
		"as deep as is allowed":    {extra("deep", nested("[", "", "]", 9_999)), plain},
		"a megabyte":               {good + strings.Repeat(" ", MaxValueBytes-len(good)), exact},
		"no contact with the skin": {extra("contact", `false`), Reading{42, Invalid, 0, kafka}},
		"contact with the skin":    {extra("contact", `true`), plain},
		"contact of another type":  {extra("contact", `"false"`), plain},
		"contact below the top":    {extra("device", `{"contact":false}`), plain},
		"an escaped contact":       {extra("x", `1,"c\u006fntact":false`), Reading{42, Invalid, 0, kafka}},
		"customer 0":               {with("customer_id", `"CUST_00000"`), Reading{0, Normal, 75, exact.Time}},
		"the last customer":        {with("customer_id", `"CUST_999999999"`), Reading{999_999_999, Normal, 75, exact.Time}},
		"a slow heart":             {with("heart_rate", `39.9`), Reading{42, Bradycardia, 39, exact.Time}},
		"hardly a beat":            {with("heart_rate", `0.2`), Reading{42, Bradycardia, 1, exact.Time}},
		"a fast heart":             {with("heart_rate", `180.9`), Reading{42, Tachycardia, 181, exact.Time}},
		"the fastest heart":        {with("heart_rate", `300`), Reading{42, Tachycardia, 300, exact.Time}},
		"more than any heart":      {with("heart_rate", `300.4`), Reading{42, Invalid, 301, exact.Time}},
		"a saturated sensor":       {with("heart_rate", `99999`), Reading{42, Invalid, 99999, exact.Time}},
		"a negative rate":          {with("heart_rate", `-5`), Reading{42, Invalid, -5, exact.Time}},
		"zero":                     {with("heart_rate", `0`), Reading{42, Invalid, 0, exact.Time}},
		"minus zero":               {with("heart_rate", `-0`), Reading{42, Invalid, 0, exact.Time}},
		"minus zero point zero":    {with("heart_rate", `-0.0e0`), Reading{42, Invalid, 0, exact.Time}},
		"less than a double holds": {with("heart_rate", `1e-999`), Reading{42, Invalid, 0, exact.Time}},
		"more than a double holds": {with("heart_rate", `1e999`), Reading{42, Invalid, math.MaxInt32, exact.Time}},
		"less than any double":     {with("heart_rate", `-1e999`), Reading{42, Invalid, math.MinInt32, exact.Time}},
		"more than the column":     {with("heart_rate", `2147483648`), Reading{42, Invalid, math.MaxInt32, exact.Time}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var decoder Decoder
			got, rejection := decoder.Decode(Record{Value: []byte(test.value), Timestamp: kafka})
			if rejection != nil {
				t.Fatalf("rejected: %v", rejection)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reading (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecoderMeasuresTimeAgainstTheRecord(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	y2000 := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		at, kafka time.Time
		retention time.Duration
		accepted  bool
	}{
		"at once":                                 {kafka, kafka, 0, true},
		"ten minutes ahead":                       {kafka.Add(MaxAhead), kafka, 0, true},
		"a microsecond more":                      {kafka.Add(MaxAhead + us), kafka, 0, false},
		"ten minutes ahead, with a retention":     {kafka.Add(MaxAhead), kafka, time.Hour, true},
		"too far ahead, with a retention":         {kafka.Add(MaxAhead + us), kafka, time.Hour, false},
		"the first moment of 2000":                {y2000, kafka, 0, true},
		"the last moment of 1999":                 {y2000.Add(-us), kafka, 0, false},
		"the last moment of 1999, retained":       {y2000.Add(-us), y2000, time.Hour, false},
		"as old as the retention":                 {kafka.Add(-time.Hour), kafka, time.Hour, true},
		"older than the retention":                {kafka.Add(-time.Hour - us), kafka, time.Hour, false},
		"a retention of more than since 2000":     {y2000, kafka, 100 * 365 * 24 * time.Hour, true},
		"a replay years later":                    {kafka.AddDate(-20, 0, 0), kafka.AddDate(-20, 0, 0), time.Hour, true},
		"a record from a broker without a clock":  {kafka, time.UnixMilli(-1), 0, false},
		"a record written before its event's day": {kafka, kafka.AddDate(0, 0, -1), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoder := Decoder{Retention: test.retention}
			value := Event{Customer: 42, Rate: 75, Time: test.at}.AppendJSON(nil)
			reading, rejection := decoder.Decode(Record{Value: value, Timestamp: test.kafka})
			switch {
			case test.accepted && rejection != nil:
				t.Errorf("rejected with %v, want it accepted", rejection)
			case test.accepted && !reading.Time.Equal(test.at):
				t.Errorf("time %v, want %v", reading.Time, test.at)
			case !test.accepted && (rejection == nil || rejection.Reason != TimestampRange):
				t.Errorf("rejection %v, want %s", rejection, TimestampRange)
			}
		})
	}
}

func TestDecoderLeavesTheRecordAlone(t *testing.T) {
	t.Parallel()
	var decoder Decoder
	for _, text := range []string{good, with("customer_id", `"\u0043UST_00042"`), good + good, `{"a":"\ud800"}`, `{"a":1,"a":2}`} {
		value := []byte(text)
		decoder.Decode(Record{Value: value, Timestamp: kafka})
		if !bytes.Equal(value, []byte(text)) {
			t.Errorf("decoding %s left %s", text, value)
		}
	}
}

// Not parallel: allocations are counted for the whole process.
func TestDecoderDoesNotAllocateForValidRecords(t *testing.T) {
	var decoder Decoder
	for name, record := range validRecords() {
		allocations := testing.AllocsPerRun(100, func() {
			if _, rejection := decoder.Decode(record); rejection != nil {
				t.Fatal(rejection)
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations, want none", name, allocations)
		}
	}
}

func validRecords() map[string]Record {
	return map[string]Record{
		"wire form": {Value: []byte(good), Timestamp: kafka},
		"foreign": {Timestamp: kafka, Value: []byte(`{ "timestamp": "2026-02-20T10:00:00.1234567\u002B00:00", ` +
			`"device": {"id": "A-17", "firmware": [1, 4, 2]}, "customer_id": "CUST_00042", "heart_rate": 72.5 }` + "\n")},
	}
}

func BenchmarkDecode(b *testing.B) {
	records := validRecords()
	records["rejected for its syntax"] = Record{Value: []byte(good[:len(good)-1]), Timestamp: kafka}
	records["rejected for its meaning"] = Record{Value: []byte(with("heart_rate", `"75"`)), Timestamp: kafka}
	for name, record := range records {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(record.Value)))
			var decoder Decoder
			for b.Loop() {
				decoder.Decode(record)
			}
		})
	}
}

// A record without a Kafka timestamp is judged by what is known: its own time must be plausible, the window around a
// Kafka timestamp does not apply.
func TestDecodeWithoutAKafkaTimestamp(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Reason{
		`{"customer_id":"CUST_00042","heart_rate":200,"timestamp":"2026-02-20T10:00:00Z"}`:          "",
		`{"customer_id":"CUST_00042","heart_rate":200,"timestamp":"2026-02-20T10:00:00Z","more":1}`: "",
		`{"customer_id":"CUST_00042","heart_rate":200,"timestamp":"1999-12-31T23:59:59Z"}`:          TimestampRange,
	} {
		decoder := Decoder{Retention: time.Hour}
		_, rejection := decoder.Decode(Record{Value: []byte(text)})
		var have Reason
		if rejection != nil {
			have = rejection.Reason
		}
		if have != want {
			t.Errorf("%s is rejected with %q, want %q", text, have, want)
		}
	}
}
