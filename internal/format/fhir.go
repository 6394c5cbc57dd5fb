package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// FHIR reads Observations and Bundles of FHIR R4 in JSON: one, or several one after another, as a bulk export has them. Positions
// count Observations and entries. A transaction with a fault gives no sample, so its entries are held until its end, and so
// are those that stand before the type of their Bundle.
func FHIR(r io.Reader) Items {
	return func(yield func(Item, error) bool) {
		reader := &fhirReader{source: newJSONSource(r), yield: yield}
		if err := reader.source.texts(reader.resource); err != nil && !errors.Is(err, errStop) {
			yield(Item{Position: reader.position}, err)
		}
	}
}

// FHIRDocument is one FHIR document, read whole.
type FHIRDocument struct {
	Items     []Item
	AllOrNone bool // a transaction: where one item is refused later on, none may be stored
}

// ErrTooMany is the error of a document with more items than asked for.
var ErrTooMany = errors.New("too many Observations or entries")

// ReadFHIR reads one Observation or Bundle of at most so many items. The error says why it is neither, or is ErrTooMany.
func ReadFHIR(document []byte, most int) (FHIRDocument, error) {
	var result FHIRDocument
	reader := &fhirReader{source: newJSONSource(bytes.NewReader(document)), most: most, yield: func(item Item, _ error) bool {
		result.Items = append(result.Items, item)
		return len(result.Items) <= most
	}}
	if err := reader.source.oneText(reader.resource); errors.Is(err, errStop) || len(result.Items) > most {
		return FHIRDocument{}, ErrTooMany
	} else if err != nil {
		return FHIRDocument{}, err
	}
	result.AllOrNone = reader.bundle == transaction
	return result, nil
}

const transaction = "transaction"

const (
	// maxHeld bounds the entries that are held, and thereby memory.
	maxHeld = 100_000
	// maxResource bounds an entry or an Observation: one heart rate takes a few hundred bytes.
	maxResource = 64 << 10
)

type fhirReader struct {
	source   *jsonSource
	yield    func(Item, error) bool
	most     int // items; 0: any number
	position int64

	bundle string // the Bundle's type; empty: not known yet
	held   []Item
}

// resource reads one top-level resource. Its members other than the entries of a Bundle are few and small, and kept.
func (r *fhirReader) resource() error {
	if r.source.next() != jsontext.KindBeginObject {
		return r.wrongTop()
	}
	var kind string
	var members bytes.Buffer
	entries := false
	r.bundle, r.held = "", r.held[:0]
	err := r.source.members(func(name string) error {
		switch {
		case name == "entry" && r.source.next() == jsontext.KindBeginArray && (kind == "" || kind == "Bundle"):
			entries = true
			return r.source.elements(r.entry)
		case name == "entry":
			return r.source.skip()
		}
		value, err := r.source.value()
		if err != nil {
			return err
		}
		switch name {
		case "resourceType":
			kind = text(value)
		case "type":
			r.bundle = text(value)
		}
		return appendMember(&members, name, value)
	})
	switch {
	case err != nil:
		return err
	case kind == "Bundle":
		return r.endBundle()
	case entries:
		return fmt.Errorf("resourceType is %s, but there are entries as of a Bundle", quote(kind))
	case kind == "":
		return errors.New("resourceType is missing, want an Observation or a Bundle")
	}
	members.WriteByte('}')
	if members.Len() > maxResource {
		return r.give(r.item(tooLarge(members.Len())))
	}
	return r.give(r.item(readResource(kind, members.Bytes())))
}

func (r *fhirReader) wrongTop() error {
	value, err := r.source.value()
	if err != nil {
		return err
	}
	return fmt.Errorf("the document is %s, want an Observation or a Bundle", kindName(value.Kind()))
}

// appendMember writes the object again without its entries.
func appendMember(members *bytes.Buffer, name string, value jsontext.Value) error {
	if members.Len() > maxValueBytes {
		return fmt.Errorf("a resource is larger than %d MiB", maxValueBytes>>20)
	}
	separator := byte(',')
	if members.Len() == 0 {
		separator = '{'
	}
	members.WriteByte(separator)
	quoted, _ := jsontext.AppendQuote(nil, name)
	members.Write(quoted)
	members.WriteByte(':')
	members.Write(value)
	return nil
}

// text returns a JSON string's text, empty for any other value.
func text(value jsontext.Value) string {
	if value.Kind() != jsontext.KindString {
		return ""
	}
	unquoted, _ := jsontext.AppendUnquote(nil, value)
	return string(unquoted)
}

// entry reads one entry of a Bundle, and holds its item while the Bundle may be a transaction.
func (r *fhirReader) entry() error {
	value, err := r.source.value()
	if err != nil {
		return err
	}
	if r.most > 0 && r.position >= int64(r.most) {
		return ErrTooMany
	}
	item := r.item(readEntry(value))
	if r.bundle != "" && r.bundle != transaction {
		return r.give(item)
	}
	if len(r.held) == maxHeld {
		return fmt.Errorf("the Bundle has over %d entries and is a transaction or has its type at its end; make it a collection, with the type before the entries", maxHeld)
	}
	r.held = append(r.held, item)
	return nil
}

func tooLarge(bytes int) (Sample, *heartbeat.Rejection) {
	return Sample{}, reject(heartbeat.TooLarge, "the resource has %d bytes, want at most %d", bytes, maxResource)
}

func readEntry(value []byte) (Sample, *heartbeat.Rejection) {
	if len(value) > maxResource {
		return tooLarge(len(value))
	}
	var entry struct {
		Resource jsontext.Value `json:"resource"`
		Request  struct {
			Method string `json:"method"`
		} `json:"request"`
	}
	if rejection := readStrictly(value, &entry); rejection != nil {
		return Sample{}, rejection
	}
	if method := entry.Request.Method; method != "" && method != "POST" && method != "PUT" {
		return Sample{}, reject(NotHeartRate, "the entry's request is a %s", quote(method))
	}
	if len(entry.Resource) == 0 {
		return Sample{}, reject(NotHeartRate, "the entry has no resource")
	}
	var head struct {
		Kind string `json:"resourceType"`
	}
	if rejection := readStrictly(entry.Resource, &head); rejection != nil {
		return Sample{}, rejection
	}
	return readResource(head.Kind, entry.Resource)
}

func readResource(kind string, resource []byte) (Sample, *heartbeat.Rejection) {
	switch kind {
	case "Observation":
		return readObservation(resource)
	case "":
		return Sample{}, reject(heartbeat.MissingField, "resourceType is missing")
	default:
		return Sample{}, reject(NotHeartRate, "the resource is of type %s", quote(kind))
	}
}

func (r *fhirReader) item(sample Sample, rejection *heartbeat.Rejection) Item {
	item := Item{Position: r.position, Sample: sample, Rejection: rejection}
	r.position++
	return item
}

func (r *fhirReader) give(items ...Item) error {
	for _, item := range items {
		if !r.yield(item, nil) {
			return errStop
		}
	}
	return nil
}

// endBundle gives the held items: of a transaction with a fault, none has a sample.
func (r *fhirReader) endBundle() error {
	if r.bundle == "" {
		return errors.New("the Bundle has no type")
	}
	faulty := slices.IndexFunc(r.held, func(item Item) bool { return item.Rejection != nil && Fault(item.Rejection.Reason) })
	if r.bundle == transaction && faulty >= 0 {
		for i, item := range r.held {
			if item.Rejection == nil {
				r.held[i] = Item{Position: item.Position, Rejection: reject(TransactionFailed,
					"entry %d of the transaction has a fault, so none is stored", faulty)}
			}
		}
	}
	return r.give(r.held...)
}
