package heartbeat

import "bytes"

// fastPath reads an event in the layout that AppendJSON writes, as nearly all events have. It never rejects: an event that
// differs by a byte or has a fault is left to the strict path, which accepts any JSON and takes four times as long.
//
// Every byte is checked here, as a part of the frame, of the id, of the number or of the timestamp. So the event contains
// nothing that the strict path could refuse: no escape, no second field of a name, no text that is not UTF-8.
func (d *Decoder) fastPath(record *Record) (reading Reading, ok bool) {
	rest, ok := bytes.CutPrefix(record.Value, []byte(`{"customer_id":"`))
	if !ok {
		return reading, false
	}
	id, rest, ok := cut(rest, `","heart_rate":`)
	if !ok {
		return reading, false
	}
	number, rest, ok := cut(rest, `,"timestamp":"`)
	if !ok || len(number) < 1 || len(number) > 3 || number[0] == '0' {
		return reading, false
	}
	text, ok := bytes.CutSuffix(rest, []byte(`"}`))
	if !ok {
		return reading, false
	}
	var p digits
	rate := p.number(number)
	customer, known := parseCustomerID(id)
	at, dated := parseTimestamp(text)
	if p.bad || !known || !dated || d.checkRange(at, record.Timestamp) != nil {
		return reading, false
	}
	class, bpm := Classify(float64(rate))
	return Reading{Customer: customer, Class: class, BPM: bpm, Time: at}, true
}

// cut cuts text at the first byte that the separator begins with, which must be where the separator stands.
func cut(text []byte, separator string) (before, after []byte, ok bool) {
	at := bytes.IndexByte(text, separator[0])
	if at < 0 || !bytes.HasPrefix(text[at:], []byte(separator)) {
		return nil, nil, false
	}
	return text[:at], text[at+len(separator):], true
}
