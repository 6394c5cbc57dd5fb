package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Name is a format's name.
type Name string

// The formats.
const (
	AppleHealth       Name = "apple"
	FitbitJSON        Name = "fitbit"
	HealthConnectJSON Name = "health-connect"
	FHIRJSON          Name = "fhir"
	OpenMHealthJSON   Name = "openmhealth"
	CommaSeparated    Name = "csv"
	NewlineDelimited  Name = "ndjson"
)

// Options say what a file does not say of itself.
type Options struct {
	Name         string         // of the file: a day's readings may have their date there only
	Zone         *time.Location // of local times; nil: unknown
	Columns      Columns
	Separator    rune // 0: found in the header line
	DecimalComma bool
	TimeFormat   TimeFormat // RFC3339 when empty
}

// Read reads a file of a format.
func Read(name Name, r io.Reader, options Options) Items {
	switch name {
	case AppleHealth:
		return Apple(r)
	case FitbitJSON:
		return Fitbit(r, options)
	case HealthConnectJSON:
		return HealthConnect(r)
	case FHIRJSON:
		return FHIR(r)
	case OpenMHealthJSON:
		return OpenMHealth(r)
	case CommaSeparated:
		return CSV(r, options)
	case NewlineDelimited:
		return NDJSON(r)
	default:
		return func(yield func(Item, error) bool) { yield(Item{}, fmt.Errorf("the format %q is not known", name)) }
	}
}

// HeadBytes is how much of a file's start Recognise wants.
const HeadBytes = 64 << 10

// Recognise finds the format in the start of a file. It returns an empty name for a file of another kind.
func Recognise(head []byte, options Options) Name {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	switch {
	case len(head) == 0:
		return ""
	case head[0] == '<':
		if bytes.Contains(head, []byte("<"+healthData)) || bytes.Contains(head, []byte("<!DOCTYPE "+healthData)) {
			return AppleHealth
		}
		return ""
	case head[0] == '{' || head[0] == '[':
		return recogniseJSON(head)
	}
	rows := csvReader{options: options, columns: options.Columns.orDefault()}
	if rows.open(bytes.NewReader(head)) != nil {
		return ""
	}
	return CommaSeparated
}

// recogniseJSON looks at the names of the first object, and at those of the object before it ends.
func recogniseJSON(head []byte) Name {
	names := map[string]jsontext.Kind{} // of the outermost object, with the kind of value
	source := newJSONSource(bytes.NewReader(head))
	object := func() error {
		if source.next() != jsontext.KindBeginObject {
			return errStop
		}
		err := source.members(func(name string) error {
			names[name] = source.next()
			return source.skip()
		})
		return errors.Join(err, errStop)
	}
	_ = source.texts(func() error {
		if source.next() == jsontext.KindBeginArray {
			return source.elements(object)
		}
		return object()
	})
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(name string) bool { _, ok := names[name]; return ok })
	}
	switch {
	case has("resourceType", "entry"):
		return FHIRJSON
	case has("activities-heart", "activities-heart-intraday"), has("dateTime") && has("value"):
		return FitbitJSON
	case has("samples"):
		return HealthConnectJSON
	case names["heart_rate"] == jsontext.KindBeginObject, has("effective_time_frame"), has("header") && has("body"):
		return OpenMHealthJSON
	case has("heart_rate", "customer_id") && head[0] == '{':
		return NewlineDelimited
	default:
		return ""
	}
}
