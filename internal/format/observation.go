package format

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// observation is what matters of a FHIR R4 Observation.
type observation struct {
	Status           string         `json:"status"`
	Code             concept        `json:"code"`
	Subject          reference      `json:"subject"`
	Device           reference      `json:"device"`
	EffectiveTime    string         `json:"effectiveDateTime"`
	EffectiveInstant string         `json:"effectiveInstant"`
	EffectivePeriod  period         `json:"effectivePeriod"`
	Quantity         quantity       `json:"valueQuantity"`
	AbsentReason     jsontext.Value `json:"dataAbsentReason"`
	Components       []component    `json:"component"`
}

// component is one of several values that were measured together.
type component struct {
	Code         concept        `json:"code"`
	Quantity     quantity       `json:"valueQuantity"`
	AbsentReason jsontext.Value `json:"dataAbsentReason"`
}

// concept is one meaning, in the codes of several systems.
type concept struct {
	Coding []struct {
		System string `json:"system"`
		Code   string `json:"code"`
	} `json:"coding"`
}

type reference struct {
	Reference  string `json:"reference"`
	Display    string `json:"display"`
	Identifier struct {
		Value string `json:"value"`
	} `json:"identifier"`
}

type period struct {
	Start string `json:"start"`
}

type quantity struct {
	Value      jsontext.Value `json:"value"`
	Comparator string         `json:"comparator"`
	Unit       string         `json:"unit"`
	System     string         `json:"system"`
	Code       string         `json:"code"`
}

// readObservation reads the heart rate of an Observation.
func readObservation(resource []byte) (Sample, *heartbeat.Rejection) {
	var o observation
	if rejection := readStrictly(resource, &o); rejection != nil {
		return Sample{}, rejection
	}
	quantity, absent, ok := o.heartRate()
	if !ok {
		return Sample{}, reject(NotHeartRate, "the Observation has no code 8867-4 of http://loinc.org")
	}
	if rejection := checkStatus(o.Status); rejection != nil {
		return Sample{}, rejection
	}
	if len(absent) > 0 && absent.Kind() != jsontext.KindNull && len(quantity.Value) == 0 {
		return Sample{}, reject(NoValue, "dataAbsentReason says that there is no value")
	}
	rate, rejection := quantity.rate()
	if rejection != nil {
		return Sample{}, rejection
	}
	at, rejection := o.time()
	return Sample{Subject: o.Subject.subject(), Rate: rate, Time: at, Device: o.Device.name()}, rejection
}

// heartRate returns the value of the Observation, or of the component, that is coded as a heart rate.
func (o *observation) heartRate() (value *quantity, absent jsontext.Value, ok bool) {
	if o.Code.isHeartRate() {
		return &o.Quantity, o.AbsentReason, true
	}
	for i := range o.Components {
		if c := &o.Components[i]; c.Code.isHeartRate() {
			return &c.Quantity, c.AbsentReason, true
		}
	}
	return nil, nil, false
}

func (c concept) isHeartRate() bool {
	for _, coding := range c.Coding {
		if coding.System == "http://loinc.org" && coding.Code == "8867-4" {
			return true
		}
	}
	return false
}

func checkStatus(status string) *heartbeat.Rejection {
	switch status {
	case "registered", "preliminary", "final", "amended", "corrected", "unknown":
		return nil
	case "entered-in-error":
		return reject(EnteredInError, "the Observation was entered in error")
	case "cancelled":
		return reject(Cancelled, "the Observation was cancelled")
	case "":
		return reject(heartbeat.MissingField, "status is missing")
	default:
		return reject(heartbeat.WrongType, "status is %s, which FHIR R4 does not know", quote(status))
	}
}

// rate reads beats a minute. UCUM's code decides; a unit in words does where there is no code.
func (q *quantity) rate() (float64, *heartbeat.Rejection) {
	rate, rejection := readNumber("valueQuantity.value", q.Value)
	switch {
	case rejection != nil:
		return 0, rejection
	case q.Comparator != "":
		return 0, reject(NotExact, "valueQuantity.comparator is %s: the value is not exact", quote(q.Comparator))
	case q.Code != "" && q.System != "" && q.System != "http://unitsofmeasure.org":
		return 0, reject(WrongUnit, "valueQuantity.system is %s, want http://unitsofmeasure.org", quote(q.System))
	case q.Code != "" && !slices.Contains([]string{"/min", "{beats}/min", "{Beats}/min"}, q.Code):
		return 0, reject(WrongUnit, "valueQuantity.code is %s, want /min", quote(q.Code))
	case q.Code == "" && !slices.Contains([]string{"/min", "beats/min", "beats/minute", "bpm"}, strings.ToLower(q.Unit)):
		return 0, reject(WrongUnit, "valueQuantity.unit is %s, want beats/minute, with the code /min", quote(q.Unit))
	default:
		return rate, nil
	}
}

// time is when the value was measured; a period counts from its start.
func (o *observation) time() (time.Time, *heartbeat.Rejection) {
	switch {
	case o.EffectiveInstant != "":
		return readTime("effectiveInstant", o.EffectiveInstant)
	case o.EffectivePeriod.Start != "":
		return readTime("effectivePeriod.start", o.EffectivePeriod.Start)
	default:
		return readTime("effectiveDateTime", o.EffectiveTime)
	}
}

// subject is a customer id, the id of a Patient, or any other reference as it stands.
func (r *reference) subject() string {
	if _, err := heartbeat.ParseCustomerID(r.Identifier.Value); err == nil || r.Reference == "" {
		return shorten(r.Identifier.Value)
	}
	id := r.Reference
	if at := strings.LastIndex(id, "Patient/"); at == 0 || at > 0 && id[at-1] == '/' {
		id, _, _ = strings.Cut(id[at+len("Patient/"):], "/_history/")
	}
	return shorten(id)
}

func (r *reference) name() string {
	for _, name := range []string{r.Display, r.Reference, r.Identifier.Value} {
		if name != "" {
			return shorten(name)
		}
	}
	return ""
}
