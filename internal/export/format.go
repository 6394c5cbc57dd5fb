package export

import (
	"strconv"
	"time"

	"heartbeat/internal/readmodel"
)

// Text is a format of one line for each reading.
type Text struct {
	Name      string // csv, ndjson or fhir
	MediaType string
	Extension string // of a file's name, without a dot
	Header    string // before the first reading

	line func(text []byte, r *readmodel.Reading) []byte
}

// Texts returns the text formats. What heartbeat import needs of each line has the contract's names.
func Texts() []Text {
	return []Text{
		{"csv", "text/csv; charset=utf-8", "csv", "customer_id,heart_rate,timestamp,class,kafka_topic,kafka_partition,kafka_offset\n", appendCSV},
		{"ndjson", "application/x-ndjson", "ndjson", "", appendNDJSON},
		{"fhir", "application/fhir+ndjson", "fhir.ndjson", "", appendFHIR},
	}
}

// Append appends the line of a reading.
func (t Text) Append(text []byte, r *readmodel.Reading) []byte { return t.line(text, r) }

// appendCSV writes fields none of which can hold a comma, a quote or a formula.
func appendCSV(text []byte, r *readmodel.Reading) []byte {
	text = append(text, r.Customer...)
	text = append(text, ',')
	text = strconv.AppendInt(text, int64(r.BPM), 10)
	text = append(text, ',')
	text = appendTime(text, r.EventTime)
	text = append(text, ',')
	text = append(text, r.Class...)
	text = append(text, ',')
	text = append(text, r.Topic...)
	text = append(text, ',')
	text = strconv.AppendInt(text, int64(r.Partition), 10)
	text = append(text, ',')
	text = strconv.AppendInt(text, r.Offset, 10)
	return append(text, '\n')
}

// appendNDJSON writes an event of the contract with further fields, which a consumer ignores.
func appendNDJSON(text []byte, r *readmodel.Reading) []byte {
	text = append(text, `{"customer_id":"`...)
	text = append(text, r.Customer...)
	text = append(text, `","heart_rate":`...)
	text = strconv.AppendInt(text, int64(r.BPM), 10)
	text = append(text, `,"timestamp":"`...)
	text = appendTime(text, r.EventTime)
	text = append(text, `","class":"`...)
	text = append(text, r.Class...)
	text = append(text, `","kafka_topic":"`...)
	text = append(text, r.Topic...)
	text = append(text, `","kafka_partition":`...)
	text = strconv.AppendInt(text, int64(r.Partition), 10)
	text = append(text, `,"kafka_offset":`...)
	text = strconv.AppendInt(text, r.Offset, 10)
	return append(text, "}\n"...)
}

// appendFHIR writes an Observation of FHIR R4 in the manner of its Bulk Data exports. An id of FHIR cannot hold a customer's id, so the
// subject is a logical reference. A fault of the sensor is no heart rate: the Observation says that its value is an error.
func appendFHIR(text []byte, r *readmodel.Reading) []byte {
	text = append(text, `{"resourceType":"Observation","identifier":[{"value":"`...)
	text = append(text, r.Topic...)
	text = append(text, '/')
	text = strconv.AppendInt(text, int64(r.Partition), 10)
	text = append(text, '/')
	text = strconv.AppendInt(text, r.Offset, 10)
	text = append(text, `"}],"status":"final",`+
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"identifier":{"value":"`...)
	text = append(text, r.Customer...)
	text = append(text, `"}},"effectiveDateTime":"`...)
	text = appendTime(text, r.EventTime)
	if r.Class == "INVALID" {
		return append(text, `","dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"error"}]}}`+"\n"...)
	}
	text = append(text, `","valueQuantity":{"value":`...)
	text = strconv.AppendInt(text, int64(r.BPM), 10)
	return append(text, `,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}`+"\n"...)
}

func appendTime(text []byte, at time.Time) []byte {
	return at.UTC().AppendFormat(text, "2006-01-02T15:04:05.000000Z")
}
