package export_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/export"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/readmodel"
)

var noon = time.Date(2026, 2, 20, 12, 0, 0, 123456000, time.UTC)

func reading(offset int64, bpm int32, class string) readmodel.Reading {
	return readmodel.Reading{
		Customer: "CUST_00042", BPM: bpm, EventTime: noon.Add(time.Duration(offset) * time.Second), Class: class, Topic: "heartbeat-events#2", Partition: 2, Offset: offset,
	}
}

func format(t *testing.T, name string) export.Text {
	t.Helper()
	for _, text := range export.Texts() {
		if text.Name == name {
			return text
		}
	}
	t.Fatalf("there is no format %s", name)
	return export.Text{}
}

func TestLinesOfEachFormat(t *testing.T) {
	t.Parallel()
	const observation = `{"resourceType":"Observation","identifier":[{"value":"heartbeat-events#2/2/7"}],"status":"final",` +
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],` +
		`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"identifier":{"value":"CUST_00042"}},"effectiveDateTime":"2026-02-20T12:00:07.123456Z",`
	for _, test := range []struct {
		format, class string
		bpm           int32
		want          string
	}{
		{"csv", "NORMAL", 75, "CUST_00042,75,2026-02-20T12:00:07.123456Z,NORMAL,heartbeat-events#2,2,7\n"},
		{"csv", "INVALID", -1, "CUST_00042,-1,2026-02-20T12:00:07.123456Z,INVALID,heartbeat-events#2,2,7\n"},
		{"ndjson", "TACHYCARDIA", 200, `{"customer_id":"CUST_00042","heart_rate":200,"timestamp":"2026-02-20T12:00:07.123456Z","class":"TACHYCARDIA","kafka_topic":"heartbeat-events#2","kafka_partition":2,"kafka_offset":7}` + "\n"},
		{"fhir", "BRADYCARDIA", 30, observation + `"valueQuantity":{"value":30,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}` + "\n"},
		{"fhir", "INVALID", 0, observation + `"dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"error"}]}}` + "\n"},
	} {
		r := reading(7, test.bpm, test.class)
		if diff := cmp.Diff(test.want, string(format(t, test.format).Append(nil, &r))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.format, diff)
		}
	}
}

// What is stored of a reading is rounded: its export must be of the same class, and be stored as the same integer.
func TestExportedReadingDecodesToWhatIsStored(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{75, 72.5, 39.9, 0.2, 40, 180, 180.9, 300, 300.4, 0, math.Copysign(0, -1), -0.4, -17.5, 1e300, -1e300, math.Inf(1)} {
		class, bpm := heartbeat.Classify(rate)
		r := reading(7, int32(bpm), class.String())
		line := format(t, "ndjson").Append(nil, &r)
		var decoder heartbeat.Decoder
		got, rejection := decoder.Decode(heartbeat.Record{Timestamp: r.EventTime, Key: []byte(r.Customer), Value: line[:len(line)-1]})
		want := heartbeat.Reading{Customer: 42, Class: class, BPM: bpm, Time: r.EventTime}
		if rejection != nil || got != want {
			t.Errorf("%v is stored as %+v and comes back as %+v, %v", rate, want, got, rejection)
		}
	}
}

func TestHeaderNamesTheFieldsOfALine(t *testing.T) {
	t.Parallel()
	csv := format(t, "csv")
	r := reading(1, 75, "NORMAL")
	if fields, line := strings.Count(csv.Header, ","), strings.Count(string(csv.Append(nil, &r)), ","); fields != line {
		t.Errorf("the header has %d commas, a line %d", fields, line)
	}
}
