package format

import (
	"io"
	"math"
	"strings"
	"testing"

	"heartbeat/internal/heartbeat"
)

func csvWith(options Options) func(io.Reader) Items {
	return func(r io.Reader) Items { return CSV(r, options) }
}

func TestCSV(t *testing.T) {
	t.Parallel()
	first := described{Sample: Sample{Subject: "CUST_00042", Rate: 72.5, Time: utc("2026-02-20T10:00:00Z"), Device: "w-7"}}
	second := described{Position: 1, Sample: Sample{Subject: "CUST_00043", Rate: -1, Time: utc("2026-02-20T09:00:00.25Z")}}
	want(t, csvWith(Options{}), "customer_id,heart_rate,timestamp,device_id\nCUST_00042,72.5,2026-02-20T10:00:00Z,w-7\nCUST_00043,-1,2026-02-20 10:00:00.25+01:00\n", first, second)
	// As spreadsheets save it: a byte order mark, semicolons, quotes, decimal commas and CRLF.
	want(t, csvWith(Options{DecimalComma: true}), "\ufeff\"device_id\";\"Timestamp\";\"heart_rate\";\"customer_id\"\r\nw-7;2026-02-20T10:00:00Z;\"72,5\";CUST_00042\r\n;\"2026-02-20 10:00:00.25+01:00\";-1;CUST_00043\r\n", first, second)
	want(t, csvWith(Options{Columns: Columns{Customer: "who", HeartRate: "bpm", Timestamp: "when", Device: "on"}, TimeFormat: UnixSecond}),
		"note\twho\tbpm\twhen\ton\n\"a, b\nc\"\tCUST_00042\t72.5\t1771581600\tw-7\n\tCUST_00043\t-1\t1771578000.25\t\n", first, second)
	want(t, csvWith(Options{TimeFormat: UnixMilli, Separator: '|'}),
		"customer_id|heart_rate|timestamp|device_id\nCUST_00042|72.5|1771581600000|w-7\nCUST_00043|-1|1771578000250|", first, second)
}

func TestCSVRowsThatAreLeftOut(t *testing.T) {
	t.Parallel()
	for row, reason := range map[string]heartbeat.Reason{
		"72":                        heartbeat.MissingField,
		"72,":                       heartbeat.MissingField,
		",2026-02-20T10:00:00Z":     heartbeat.MissingField,
		"fast,2026-02-20T10:00:00Z": heartbeat.WrongType,
		"1e3,2026-02-20T10:00:00Z":  heartbeat.WrongType,
		"Inf,2026-02-20T10:00:00Z":  heartbeat.WrongType,
		"72,2026-02-20":             heartbeat.BadTimestamp,
		"72,2026-02-20T10:00:00":    heartbeat.BadTimestamp,
		"72,20.02.2026 10:00:00":    heartbeat.BadTimestamp,
		`7"2,2026-02-20T10:00:00Z`:  heartbeat.WrongType,
	} {
		good := "72,2026-02-20T10:00:00Z\n"
		sample := Sample{Rate: 72, Time: utc("2026-02-20T10:00:00Z")}
		want(t, csvWith(Options{}), "heart_rate,timestamp\n"+good+row+"\n"+good, described{Sample: sample},
			described{Position: 1, Reason: reason}, described{Position: 2, Sample: sample})
	}
	want(t, csvWith(Options{TimeFormat: UnixSecond}), "heart_rate,timestamp\n72,2026-02-20T10:00:00Z\n", described{Reason: heartbeat.BadTimestamp})
}

func TestCSVFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		input   io.Reader
		message string
	}{
		"an empty file":     {strings.NewReader(""), "read the header line"},
		"other columns":     {strings.NewReader("a,b\n1,2\n"), "--columns"},
		"an unclosed quote": {between("heart_rate,timestamp\n\"", strings.Repeat("x,1\n", 1000), 100_000, ""), "larger than 1 MiB"},
	} {
		if _, err := describe(t, CSV(c.input, Options{})); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s gives %v, want %q", name, err, c.message)
		}
	}
}

func TestNDJSON(t *testing.T) {
	t.Parallel()
	event := `{"customer_id":"CUST_00042","heart_rate":72.5,"timestamp":"2026-02-20T10:00:00Z","device_id":"w-7","steps":3}`
	sample := Sample{Subject: "CUST_00042", Rate: 72.5, Time: utc("2026-02-20T10:00:00Z"), Device: "w-7"}
	air := sample
	air.Rate = 0
	want(t, NDJSON, with(event, `"steps":3`, `"contact":false`), described{Sample: air})
	want(t, NDJSON, with(event, `"steps":3`, `"contact":true`), described{Sample: sample})
	huge := with(event, "72.5", "1e999")
	infinite := sample
	infinite.Rate = math.Inf(1)
	want(t, NDJSON, "\ufeff"+event+"\r\n\n"+event[:50]+"\n"+huge+"\n[1]\n"+with(event, "72.5", `"72"`)+"\n"+
		`{"x":"`+strings.Repeat("y", heartbeat.MaxValueBytes)+`"}`+"\n"+with(event, "heart_rate", "steps")+"\n"+event[:60],
		described{Sample: sample}, described{Position: 2, Reason: heartbeat.NotJSON}, described{Position: 3, Sample: infinite},
		described{Position: 4, Reason: heartbeat.NotObject}, described{Position: 5, Reason: heartbeat.WrongType}, described{Position: 6, Reason: heartbeat.TooLarge},
		described{Position: 7, Reason: heartbeat.DuplicateField}, described{Position: 8, Reason: heartbeat.NotJSON})
}

func TestRecognise(t *testing.T) {
	t.Parallel()
	for text, name := range map[string]Name{
		export(appleRecord):                   AppleHealth,
		fitbitExport:                          FitbitJSON,
		fitbitIntraday:                        FitbitJSON,
		healthConnect:                         HealthConnectJSON,
		heartRateObservation:                  FHIRJSON,
		bundle("batch", heartRateObservation): FHIRJSON,
		bareBody:                              OpenMHealthJSON,
		"[" + fullPoint + "]":                 OpenMHealthJSON,
		"\ufeffheart_rate;timestamp\r\n":      CommaSeparated,
		`{"customer_id":"CUST_00042","heart_rate":72,"timestamp":"2026-02-20T10:00:00Z"}` + "\n": NewlineDelimited,
		"":            "",
		"a,b\n1,2\n":  "",
		"<gpx></gpx>": "",
		`[{"dateTime":"04/22/19 04:00:05","steps":3}]`: "",
		"\x00\x01": "",
	} {
		for _, length := range []int{len(text), min(len(text), HeadBytes), max(0, len(text)-1)} {
			if got := Recognise([]byte(text[:length]), Options{}); got != name && length == len(text) {
				t.Errorf("%.60q is recognised as %q, want %q", text, got, name)
			}
		}
	}
}
