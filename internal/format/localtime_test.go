package format

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests need zones wherever they run

	"heartbeat/internal/heartbeat"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return location
}

// Whole days with 23, 24 and 25 hours: every reading keeps its instant, in rising and in falling order.
func TestLocalTimesOfWholeDays(t *testing.T) {
	t.Parallel()
	for _, day := range []struct {
		zone, date string
		hours      float64
	}{
		{"Europe/Berlin", "2026-10-25", 25}, {"Europe/Berlin", "2026-03-29", 23}, {"Europe/Berlin", "2026-07-01", 24},
		{"America/New_York", "2026-11-01", 25}, {"America/New_York", "2026-03-08", 23},
		{"Australia/Lord_Howe", "2026-04-05", 24.5}, {"Australia/Lord_Howe", "2026-10-04", 23.5}, {"UTC", "2026-10-25", 24},
	} {
		location := zone(t, day.zone)
		begin, err := time.ParseInLocation(time.DateOnly, day.date, location)
		if err != nil {
			t.Fatal(err)
		}
		var instants []time.Time
		for at := begin; at.In(location).Format(time.DateOnly) == day.date; at = at.Add(5 * time.Minute) {
			instants = append(instants, at.UTC())
		}
		if len(instants) != int(day.hours*12) {
			t.Fatalf("%s in %s has %d times, want %g", day.date, day.zone, len(instants), day.hours*12)
		}
		for _, order := range []string{"rising", "falling"} {
			var text strings.Builder
			text.WriteString("heart_rate,timestamp\n")
			for _, at := range instants {
				fmt.Fprintf(&text, "72,%s\n", at.In(location).Format("2006-01-02 15:04:05"))
			}
			i := 0
			for item, err := range CSV(strings.NewReader(text.String()), Options{Zone: location}) {
				if err != nil || item.Rejection != nil || !item.Sample.Time.Equal(instants[i]) {
					t.Fatalf("%s in %s, %s: reading %d is %+v, %v, want %v", day.date, day.zone, order, i, item, err, instants[i])
				}
				i++
			}
			if i != len(instants) {
				t.Errorf("%s in %s, %s: %d readings, want %d", day.date, day.zone, order, i, len(instants))
			}
			slices.Reverse(instants)
		}
	}
}

func TestLocalTimesThatDoNotExist(t *testing.T) {
	t.Parallel()
	clock := localClock{zone: zone(t, "Europe/Berlin")}
	for text, reason := range map[string]heartbeat.Reason{
		"2026-03-29T02:00:00": NoSuchTime, "2026-03-29T02:59:59": NoSuchTime, "2026-03-29T01:59:59": "", "2026-03-29T03:00:00": "",
		"2026-02-30T10:00:00": heartbeat.BadTimestamp, "10:00": heartbeat.BadTimestamp,
	} {
		_, rejection := clock.read(text)
		if got := rejection; (got == nil) != (reason == "") || got != nil && got.Reason != reason {
			t.Errorf("%s is rejected with %v, want %q", text, got, reason)
		}
	}
}

func fitbit(options Options) func(io.Reader) Items {
	return func(r io.Reader) Items { return Fitbit(r, options) }
}

func utc(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at.UTC()
}

const fitbitExport = `[{"dateTime":"04/22/19 04:00:05","value":{"bpm":69,"confidence":2}},{"dateTime":"04/22/19 04:00:20","value":{"bpm":70,"confidence":0}},` +
	`{"dateTime":"04/22/19 04:00:25","value":"12"},{"dateTime":"2019-04-22 04:00:30","value":{"bpm":70,"confidence":1}},{"dateTime":"04/22/19 04:00:35","value":{"bpm":"70","confidence":1}}]`

func TestFitbitExport(t *testing.T) {
	t.Parallel()
	want(t, fitbit(Options{}), fitbitExport,
		described{Sample: Sample{Rate: 69, Time: utc("2019-04-22T04:00:05Z")}}, described{Position: 1, Reason: LowConfidence},
		described{Position: 2, Reason: NotHeartRate}, described{Position: 3, Reason: heartbeat.BadTimestamp}, described{Position: 4, Reason: heartbeat.WrongType})
	want(t, fitbit(Options{Zone: zone(t, "Europe/Berlin")}), `[{"dateTime":"04/22/19 04:00:05","value":{"bpm":69}}]`,
		described{Sample: Sample{Rate: 69, Time: utc("2019-04-22T02:00:05Z")}})
}

const fitbitIntraday = `{"activities-heart":[{"dateTime":"2019-04-22","value":{"restingHeartRate":60}}],` +
	`"activities-heart-intraday":{"dataset":[{"time":"00:00:10","value":63},{"time":"24:00:00","value":63},{"time":"00:00:20"}],"datasetInterval":1}}`

func TestFitbitIntraday(t *testing.T) {
	t.Parallel()
	items := []described{
		{Sample: Sample{Rate: 63, Time: utc("2019-04-21T22:00:10Z")}}, {Position: 1, Reason: heartbeat.BadTimestamp},
		{Position: 2, Reason: heartbeat.MissingField},
	}
	berlin := Options{Zone: zone(t, "Europe/Berlin")}
	want(t, fitbit(berlin), fitbitIntraday, items...)
	bare := with(fitbitIntraday, `"activities-heart":[{"dateTime":"2019-04-22","value":{"restingHeartRate":60}}],`, "")
	named := berlin
	named.Name = "heart_rate-2019-04-22.json"
	want(t, fitbit(named), bare, items...)
	for _, c := range []struct {
		options Options
		text    string
		message string
	}{
		{Options{}, fitbitIntraday, "--zone"}, {berlin, bare, "give the file a name"}, {berlin, "[{", "in the middle of a value"},
		{berlin, `{"activities-heart":[{},{}],"activities-heart-intraday":{}}`, "want one"},
	} {
		if _, err := describe(t, Fitbit(strings.NewReader(c.text), c.options)); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s gives %v, want %q", c.text, err, c.message)
		}
	}
}

const healthConnect = `{"metadata":{"id":"a1","clientRecordVersion":0,"device":{"model":"Pixel Watch"}},"startTime":"2025-05-21T08:43:00Z",` +
	`"samples":[{"time":"2025-05-21T08:43:00Z","beatsPerMinute":79},{"time":"2025-05-21T08:43:10Z","beatsPerMinute":"80"},` +
	`{"time":"2025-05-21","beatsPerMinute":81},{"time":"2025-05-21T08:43:10Z","beatsPerMinute":true},{"time":"2025-05-21T08:43:10Z","speed":3}]}`

func TestHealthConnect(t *testing.T) {
	t.Parallel()
	items := []described{
		{Sample: Sample{Rate: 79, Time: utc("2025-05-21T08:43:00Z"), Device: "Pixel Watch"}},
		{Position: 1, Sample: Sample{Rate: 80, Time: utc("2025-05-21T08:43:10Z"), Device: "Pixel Watch"}},
		{Position: 2, Reason: heartbeat.BadTimestamp}, {Position: 3, Reason: heartbeat.WrongType}, {Position: 4, Reason: NotHeartRate},
	}
	want(t, HealthConnect, healthConnect, items...)
	want(t, HealthConnect, "["+healthConnect+`,{"steps":[]}]`, append(items, described{Position: 5, Reason: NotHeartRate})...)
	last := `{"samples":[{"time":"2025-05-21T08:43:00Z","beatsPerMinute":79}],"metadata":{"id":"a1"}}`
	want(t, HealthConnect, last+"\n"+last, described{Sample: Sample{Rate: 79, Time: utc("2025-05-21T08:43:00Z")}},
		described{Position: 1, Sample: Sample{Rate: 79, Time: utc("2025-05-21T08:43:00Z")}})
	if _, err := describe(t, HealthConnect(strings.NewReader(healthConnect[:250]))); err == nil {
		t.Error("a cut record reads without an error")
	}
}
