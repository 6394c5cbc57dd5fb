package format

import (
	"strings"
	"testing"

	"heartbeat/internal/heartbeat"
)

// appleHead begins as an export of iOS 16 does, whose document type no strict parser accepts.
const appleHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 12 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout)*)>
<!ATTLIST Record
  type CDATA #REQUIRED
  device        CDATA #IMPLIED
<!-- Note: a list that is never closed -->
<!ELEMENT Workout ((MetadataEntry|WorkoutEvent)*, WorkoutRoute?)>
<!ENTITY trick "<Record type='HKQuantityTypeIdentifierHeartRate' unit='count/min' startDate='2021-12-11 18:04:47 -0700' value='1'/>">
]>
<HealthData locale="en_US">
 <ExportDate value="2021-12-12 10:00:00 -0700"/>
`

const appleRecord = `<Record type="HKQuantityTypeIdentifierHeartRate" sourceName="Jo&#8217;s &amp; Watch` + "\v" + `" sourceVersion="8.1" device="&lt;&lt;HKDevice: 0x2&gt;, name:Apple > Watch&gt;" unit="count/min" creationDate="2021-12-11 18:05:00 -0700" startDate="2021-12-11 18:04:47 -0700" endDate="2021-12-11 18:04:47 -0700" value="92">
  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="a > b <Record "/>
 </Record>
`

func export(records ...string) string {
	return appleHead + strings.Join(records, "") + "</HealthData>\n"
}

func TestApple(t *testing.T) {
	t.Parallel()
	sample := Sample{Rate: 92, Time: utc("2021-12-12T01:04:47Z"), Device: "Jo’s & Watch"}
	other := with(with(appleRecord, "HKQuantityTypeIdentifierHeartRate", "HKQuantityTypeIdentifierStepCount"), "count/min", "count")
	want(t, Apple, export(appleRecord, other, "<!-- "+appleRecord+" -->", "<![CDATA["+appleRecord+"]]>", appleRecord),
		described{Sample: sample}, described{Position: 1, Reason: NotHeartRate}, described{Position: 2, Sample: sample})
	want(t, Apple, export())
	want(t, Apple, with(export(appleRecord), "]>", ""), described{Sample: sample}) // a document type without an end
	want(t, Apple, with(export(appleRecord), "<Record type=\"", "<Record\n type = '"+`x' type="`), described{Reason: NotHeartRate})
}

func TestAppleTraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, replacement string
		reason           heartbeat.Reason
	}{
		"another unit":           {`unit="count/min"`, `unit="count/s"`, WrongUnit},
		"no unit":                {`unit="count/min"`, ``, WrongUnit},
		"no type":                {`type="HKQuantityTypeIdentifierHeartRate"`, ``, heartbeat.MissingField},
		"no time":                {`startDate=`, `start=`, heartbeat.MissingField},
		"a time without offset":  {`startDate="2021-12-11 18:04:47 -0700"`, `startDate="2021-12-11 18:04:47"`, heartbeat.BadTimestamp},
		"a day that is none":     {`startDate="2021-12-11`, `startDate="2021-13-11`, heartbeat.BadTimestamp},
		"no value":               {`value="92"`, ``, heartbeat.MissingField},
		"a value that is a word": {`value="92"`, `value="NaN"`, heartbeat.WrongType},
		"an entity as the value": {`value="92"`, `value="&trick;"`, heartbeat.WrongType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, Apple, export(with(appleRecord, c.old, c.replacement)), described{Reason: c.reason})
		})
	}
}

func TestAppleFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for text, message := range map[string]string{
		"":                        "this is not an export",
		"<html></html>":           "this is not an export",
		appleHead + appleRecord:   "the file is cut",
		export(appleRecord)[:900]: "the file is cut",
		`<HealthData><Record a="`: "the file is cut",
		`<HealthData><Record a="` + strings.Repeat("x", 300<<10) + `"/>`: "larger than 256 KiB",
	} {
		if _, err := describe(t, Apple(strings.NewReader(text))); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%.50q gives %v, want %q", text, err, message)
		}
	}
}

// A definition that expands to a billion characters elsewhere is text here.
func TestAppleExpandsNoEntity(t *testing.T) {
	t.Parallel()
	bomb := with(export(with(appleRecord, `sourceName="Jo&#8217;s &amp; Watch`, `sourceName="&lol9;&xxe;`)), "<!ENTITY trick",
		`<!ENTITY lol "lol"><!ENTITY lol9 "&lol;&lol;"><!ENTITY xxe SYSTEM "file:///etc/passwd"><!ENTITY trick`)
	want(t, Apple, bomb, described{Sample: Sample{Rate: 92, Time: utc("2021-12-12T01:04:47Z"), Device: "&lol9;&xxe;"}})
}
