package heartbeat

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Device is what a reading says of the device that sent it. Each field is optional; one of another type than documented is
// ignored, like any field beyond the three of an event.
type Device struct {
	ID      string  // of the field device_id, at most MaxDeviceID bytes; empty: not said
	Battery float64 // share of the charge, 0 to 1; negative: not said
	Contact Contact // with the skin
	Steps   int64   // as the device counts them; negative: not said
	Seq     int64   // number that the device gave to this reading; negative: not said
}

// Contact says whether a sensor touches the skin.
type Contact uint8

// The values of Contact.
const (
	ContactUnknown Contact = iota
	NoContact              // the reading is Invalid, whatever its rate
	InContact
)

// MaxDeviceID is the size in bytes beyond which a device id is ignored.
const MaxDeviceID = 64

// Update returns what is known of a customer's device after a later reading: fields that the reading omits are kept unless it
// comes from another device. Either may be nil: nothing is known.
func (d *Device) Update(later *Device) *Device {
	switch {
	case later == nil:
		return d
	case d == nil, d.ID != later.ID:
		return later
	}
	merged := *later
	if merged.Battery < 0 {
		merged.Battery = d.Battery
	}
	if merged.Contact == ContactUnknown {
		merged.Contact = d.Contact
	}
	if merged.Steps < 0 {
		merged.Steps = d.Steps
	}
	return &merged
}

// device returns what the fields say of the device, nil where they say nothing.
func (d *Decoder) device(event *fields) *Device {
	if event.deviceID == nil && event.battery == nil && event.contact == nil && event.steps == nil && event.seq == nil {
		return nil
	}
	device := Device{Battery: -1, Contact: event.touch(), Steps: wholeNumber(event.steps), Seq: wholeNumber(event.seq)}
	if event.deviceID.Kind() == jsontext.KindString {
		if id := d.unquote(event.deviceID); printable(id) {
			device.ID = string(id)
		}
	}
	if charge, err := strconv.ParseFloat(string(event.battery), 64); err == nil && charge >= 0 && charge <= 1 {
		device.Battery = charge
	}
	if device == (Device{Battery: -1, Steps: -1, Seq: -1}) {
		return nil
	}
	return &device
}

// wholeNumber returns a number of 0 or more, -1 where the value is none.
func wholeNumber(value jsontext.Value) int64 {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func (f *fields) touch() Contact {
	switch string(f.contact) {
	case "true":
		return InContact
	case "false":
		return NoContact
	default:
		return ContactUnknown
	}
}

func printable(id []byte) bool {
	if len(id) == 0 || len(id) > MaxDeviceID {
		return false
	}
	for len(id) > 0 {
		r, size := utf8.DecodeRune(id)
		if !unicode.IsPrint(r) {
			return false
		}
		id = id[size:]
	}
	return true
}
