package heartbeat

import (
	"strings"
	"testing"
)

func TestDecoderReadsTheDevice(t *testing.T) {
	t.Parallel()
	silent := Device{Battery: -1, Steps: -1, Seq: -1}
	with := func(change func(*Device)) *Device {
		device := silent
		change(&device)
		return &device
	}
	for name, test := range map[string]struct {
		fields string // after the first one, as JSON members
		want   *Device
	}{
		"nothing":               {`"note":1`, nil},
		"all":                   {`"device_id":"w-7","battery":0.71,"contact":true,"steps":12,"seq":9`, &Device{"w-7", 0.71, InContact, 12, 9}},
		"an id alone":           {`"device_id":"Łucja's watch"`, with(func(d *Device) { d.ID = "Łucja's watch" })},
		"an escaped id":         {`"device_id":"w\u002d7"`, with(func(d *Device) { d.ID = "w-7" })},
		"a battery alone":       {`"battery":0`, with(func(d *Device) { d.Battery = 0 })},
		"no contact":            {`"contact":false`, with(func(d *Device) { d.Contact = NoContact })},
		"no steps yet":          {`"steps":0`, with(func(d *Device) { d.Steps = 0 })},
		"a sequence number":     {`"seq":0`, with(func(d *Device) { d.Seq = 0 })},
		"other types":           {`"seq":"1","device_id":7,"battery":"full","contact":1,"steps":[]`, nil},
		"nulls":                 {`"device_id":null,"battery":null,"contact":null,"steps":null`, nil},
		"out of range":          {`"device_id":"","battery":71,"steps":-1`, nil},
		"parts of steps":        {`"steps":1.5`, nil},
		"too large":             {`"battery":1e999,"steps":99999999999999999999`, nil},
		"an id of 64 bytes":     {`"device_id":"` + strings.Repeat("a", 64) + `"`, with(func(d *Device) { d.ID = strings.Repeat("a", 64) })},
		"an id of 65 bytes":     {`"device_id":"` + strings.Repeat("a", 65) + `"`, nil},
		"a control character":   {`"device_id":"a\u0000b"`, nil},
		"a change of direction": {`"device_id":"a\u202eb"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var decoder Decoder
			if _, rejection := decoder.Decode(Record{Value: []byte(extra("x", `1,`+test.fields)), Timestamp: kafka}); rejection != nil {
				t.Fatal(rejection)
			}
			if got := decoder.Device(); (got == nil) != (test.want == nil) || got != nil && *got != *test.want {
				t.Errorf("device is %+v, want %+v", got, test.want)
			}
			if _, rejection := decoder.Decode(Record{Value: []byte(good), Timestamp: kafka}); rejection != nil || decoder.Device() != nil {
				t.Errorf("the next reading has the device %+v, %v", decoder.Device(), rejection)
			}
		})
	}
}

func TestDeviceKeepsWhatLaterReadingsOmit(t *testing.T) {
	t.Parallel()
	held := Device{"a", 0.5, InContact, 12, -1}
	for name, test := range map[string]struct {
		held, later, want *Device
	}{
		"nothing known":          {nil, &held, &held},
		"nothing said":           {&held, nil, &held},
		"an id alone":            {&held, &Device{"a", -1, ContactUnknown, -1, -1}, &held},
		"a battery of 0":         {&held, &Device{"a", 0, ContactUnknown, -1, -1}, &Device{"a", 0, InContact, 12, -1}},
		"contact lost":           {&held, &Device{"a", -1, NoContact, -1, -1}, &Device{"a", 0.5, NoContact, 12, -1}},
		"steps start again":      {&held, &Device{"a", -1, ContactUnknown, 0, -1}, &Device{"a", 0.5, InContact, 0, -1}},
		"another device":         {&held, &Device{"b", -1, ContactUnknown, -1, -1}, &Device{"b", -1, ContactUnknown, -1, -1}},
		"a device without an id": {&held, &Device{"", 0.9, ContactUnknown, -1, -1}, &Device{"", 0.9, ContactUnknown, -1, -1}},
	} {
		if got := test.held.Update(test.later); *got != *test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
