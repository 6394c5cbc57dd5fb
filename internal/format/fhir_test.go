package format

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/heartbeat"
)

// heartRateObservation has the shape of HL7's own example of a heart rate, with two codings and what nothing here reads.
const heartRateObservation = `{
  "resourceType" : "Observation", "id" : "heart-rate",
  "meta" : {"profile" : ["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},
  "text" : {"status" : "generated", "div" : "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a heart rate</p></div>"},
  "status" : "final",
  "category" : [{"coding" : [{"system" : "http://terminology.hl7.org/CodeSystem/observation-category", "code" : "vital-signs"}]}],
  "code" : {"coding" : [{"system" : "urn:oid:1.2.3", "code" : "HR"}, {"system" : "http://loinc.org", "code" : "8867-4", "display" : "Heart rate"}], "text" : "Heart rate"},
  "subject" : {"reference" : "Patient/CUST_00042"},
  "effectiveDateTime" : "2026-02-20T10:00:00.1234567+01:00",
  "device" : {"display" : "wrist band"},
  "valueQuantity" : {"value" : 44.5, "unit" : "beats/minute", "system" : "http://unitsofmeasure.org", "code" : "/min"}
}`

var heartRateSample = Sample{
	Subject: "CUST_00042", Rate: 44.5, Device: "wrist band",
	Time: time.Date(2026, 2, 20, 9, 0, 0, 123456000, time.UTC),
}

// with replaces a part of a document that must contain it.
func with(document, old, replacement string) string {
	if !strings.Contains(document, old) {
		panic(fmt.Sprintf("%q is not in the document", old))
	}
	return strings.Replace(document, old, replacement, 1)
}

func bundle(kind string, resources ...string) string {
	entries := make([]string, len(resources))
	for i, resource := range resources {
		entries[i] = `{"fullUrl":"urn:uuid:` + fmt.Sprint(i) + `","resource":` + resource + `,"request":{"method":"POST","url":"Observation"}}`
	}
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

// described is an item as tests compare it: the sample, or the reason.
type described struct {
	Position int64
	Sample   Sample
	Reason   heartbeat.Reason
}

func describe(t testing.TB, items Items) ([]described, error) {
	t.Helper()
	var all []described
	for item, err := range items {
		if err != nil {
			return all, err
		}
		d := described{Position: item.Position, Sample: item.Sample}
		if item.Rejection != nil {
			if item.Rejection.Detail == "" {
				t.Errorf("item %d is left out as %s without a sentence", item.Position, item.Rejection.Reason)
			}
			d.Sample, d.Reason = Sample{}, item.Rejection.Reason
		}
		all = append(all, d)
	}
	return all, nil
}

// want runs a reader over a document, whole and byte by byte.
func want(t *testing.T, read func(io.Reader) Items, document string, items ...described) {
	t.Helper()
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(document), "byte by byte": iotest.OneByteReader(strings.NewReader(document))} {
		got, err := describe(t, read(r))
		if err != nil {
			t.Errorf("%s: reading ends with %v", name, err)
		}
		if diff := cmp.Diff(items, got); diff != "" {
			t.Errorf("%s: items differ (-want +got):\n%s", name, diff)
		}
	}
}

func TestFHIRObservation(t *testing.T) {
	t.Parallel()
	want(t, FHIR, heartRateObservation, described{Sample: heartRateSample})
}

func TestFHIRObservationTraps(t *testing.T) {
	t.Parallel()
	quantity := `{"value" : 44.5, "unit" : "beats/minute", "system" : "http://unitsofmeasure.org", "code" : "/min"}`
	at := `"effectiveDateTime" : "2026-02-20T10:00:00.1234567+01:00"`
	for name, c := range map[string]struct {
		old, replacement string
		reason           heartbeat.Reason
	}{
		"a bare date":                 {at, `"effectiveDateTime":"2026-02-20"`, heartbeat.BadTimestamp},
		"a bare year":                 {at, `"effectiveDateTime":"2026"`, heartbeat.BadTimestamp},
		"a time without an offset":    {at, `"effectiveDateTime":"2026-02-20T10:00:00"`, heartbeat.BadTimestamp},
		"no time":                     {at, `"issued":"2026-02-20T10:00:00Z"`, heartbeat.MissingField},
		"entered in error":            {`"status" : "final"`, `"status" : "entered-in-error"`, EnteredInError},
		"cancelled":                   {`"status" : "final"`, `"status" : "cancelled"`, Cancelled},
		"no status":                   {`"status" : "final"`, `"language" : "en"`, heartbeat.MissingField},
		"an unknown status":           {`"status" : "final"`, `"status" : "done"`, heartbeat.WrongType},
		"a reason instead of a value": {`"valueQuantity" : ` + quantity, `"dataAbsentReason":{"coding":[{"code":"error"}]}`, NoValue},
		"neither value nor reason":    {`"valueQuantity" : ` + quantity, `"note":[]`, heartbeat.MissingField},
		"another code":                {"8867-4", "8310-5", NotHeartRate},
		"the code of another system":  {"http://loinc.org", "http://snomed.info/sct", NotHeartRate},
		"another unit":                {`"code" : "/min"`, `"code" : "/s"`, WrongUnit},
		"another system of units":     {"http://unitsofmeasure.org", "urn:units", WrongUnit},
		"no unit":                     {quantity, `{"value":44.5}`, WrongUnit},
		"a value as a string":         {"44.5", `"44.5"`, heartbeat.WrongType},
		"a value that is not exact":   {`"value" : 44.5`, `"value" : 44.5, "comparator" : "<"`, NotExact},
		"a field twice":               {`"status" : "final"`, `"status" : "final", "status" : "cancelled"`, heartbeat.DuplicateField},
		"text that is not UTF-8":      {"wrist band", "wrist \xff", heartbeat.BadUTF8},
		"a code that is a string":     {`"code" : {"coding"`, `"code" : "8867-4", "code2" : {"coding"`, heartbeat.WrongType},
		"another resource":            {`"resourceType" : "Observation"`, `"resourceType" : "Patient"`, NotHeartRate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := with(heartRateObservation, c.old, c.replacement)
			want(t, FHIR, document, described{Reason: c.reason})
			want(t, FHIR, bundle("batch", heartRateObservation, document, heartRateObservation),
				described{Sample: heartRateSample}, described{Position: 1, Reason: c.reason}, described{Position: 2, Sample: heartRateSample})
		})
	}
}

func TestFHIRObservationVariants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, replacement string
		change           func(*Sample)
	}{
		"a URL as subject":         {"Patient/CUST_00042", "https://example.org/fhir/Patient/p-7/_history/3", func(s *Sample) { s.Subject = "p-7" }},
		"a subject of the Bundle":  {"Patient/CUST_00042", "urn:uuid:0b1c", func(s *Sample) { s.Subject = "urn:uuid:0b1c" }},
		"a customer as identifier": {`"reference" : "Patient/CUST_00042"`, `"reference":"Patient/7","identifier":{"value":"CUST_00043"}`, func(s *Sample) { s.Subject = "CUST_00043" }},
		"no subject":               {`"subject" :`, `"focus" :`, func(s *Sample) { s.Subject = "" }},
		"an instant":               {"effectiveDateTime", "effectiveInstant", func(*Sample) {}},
		"a period":                 {`"effectiveDateTime" : "2026-02-20T10:00:00.1234567+01:00"`, `"effectivePeriod":{"start":"2026-02-20T10:00:00.123456+01:00","end":"2026-02-20T10:01:00+01:00"}`, func(*Sample) {}},
		"a unit in words only":     {`"system" : "http://unitsofmeasure.org", "code" : "/min"`, `"id":"q"`, func(*Sample) {}},
		"a value of 0":             {"44.5", "0", func(s *Sample) { s.Rate = 0 }},
		"the code in a component":  {`"valueQuantity" :`, `"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"9279-1"}]},"valueQuantity":{"value":16,"code":"/min"}},{"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"valueQuantity":{"value":81,"code":"/min"}}],"x":`, func(s *Sample) { s.Rate = 81 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := with(heartRateObservation, c.old, c.replacement)
			if name == "the code in a component" {
				document = with(document, `"code" : "8867-4"`, `"code" : "85353-1"`)
			}
			sample := heartRateSample
			c.change(&sample)
			want(t, FHIR, document, described{Sample: sample})
		})
	}
}

func TestFHIRBundles(t *testing.T) {
	t.Parallel()
	bad := with(heartRateObservation, "10:00:00.1234567+01:00", "")
	withdrawn := with(heartRateObservation, "final", "entered-in-error")
	patient := `{"resourceType":"Patient","id":"CUST_00042"}`
	good := func(position int64) described { return described{Position: position, Sample: heartRateSample} }
	for _, kind := range []string{"batch", "collection", "searchset", "history"} {
		want(t, FHIR, bundle(kind, heartRateObservation, bad, patient), good(0),
			described{Position: 1, Reason: heartbeat.BadTimestamp}, described{Position: 2, Reason: NotHeartRate})
	}
	want(t, FHIR, bundle("transaction", patient, heartRateObservation, withdrawn), described{Reason: NotHeartRate}, good(1),
		described{Position: 2, Reason: EnteredInError})
	want(t, FHIR, bundle("transaction", heartRateObservation, bad), described{Reason: TransactionFailed},
		described{Position: 1, Reason: heartbeat.BadTimestamp})
	typeLast := `{"entry":[{"resource":` + heartRateObservation + `},{"resource":` + bad + `}],"resourceType":"Bundle","type":"transaction"}`
	want(t, FHIR, typeLast, described{Reason: TransactionFailed}, described{Position: 1, Reason: heartbeat.BadTimestamp})
	want(t, FHIR, with(typeLast, "transaction", "collection"), good(0), described{Position: 1, Reason: heartbeat.BadTimestamp})
	want(t, FHIR, with(bundle("batch", heartRateObservation), "POST", "DELETE"), described{Reason: NotHeartRate})
	want(t, FHIR, `{"resourceType":"Bundle","type":"searchset","total":0}`)
	bulk := strings.ReplaceAll(heartRateObservation, "\n", "")
	want(t, FHIR, "\ufeff"+bulk+"\r\n"+strings.ReplaceAll(bad, "\n", "")+"\n"+bulk+"\n", good(0), described{Position: 1, Reason: heartbeat.BadTimestamp}, good(2))
}

func TestFHIRDocumentsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for document, message := range map[string]string{
		"":                          "the document is empty",
		"[1]":                       "the document is an array, want an Observation or a Bundle",
		`{"status":"final"}`:        "resourceType is missing",
		heartRateObservation + "{}": "there is more text after the JSON value",
		heartRateObservation[:200]:  "in the middle of a value",
		`{"resourceType":"Bundle"}`: "the Bundle has no type",
		`{"resourceType": Bundle}`:  "byte 17 is not JSON",
		`{"entry":[{}],"resourceType":"Observation"}`: "but there are entries as of a Bundle",
		strings.Repeat(`{"resourceType":`, 20_000):    "not JSON",
		`{"x":` + strings.Repeat("[", 10_001):         "not JSON",
	} {
		_, err := ReadFHIR([]byte(document), 100)
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("reading %.60q gives %v, want %q", document, err, message)
		}
	}
}

func TestFHIRTransactionIsAllOrNone(t *testing.T) {
	t.Parallel()
	for kind, all := range map[string]bool{"transaction": true, "batch": false} {
		document, err := ReadFHIR([]byte(bundle(kind, heartRateObservation)), 100)
		if err != nil || document.AllOrNone != all || len(document.Items) != 1 {
			t.Errorf("a %s reads as %+v, %v", kind, document, err)
		}
	}
}
