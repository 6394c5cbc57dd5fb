package stream

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"

	"heartbeat/internal/live"
)

// A frame's changes travel as bytes in base64, customers in ascending order. For each change:
//
//	gap     uvarint  twice the distance to the customer before (the first one's to 0), plus 1 if the state began
//	                 with this reading
//	rate    byte     1 to 250: the rate, of somebody not silent, read less than a second before the frame
//	                 0: the long form follows
//	flags   byte     1 silent, 2 the state changed
//	rate    varint   zigzag
//	age     varint   zigzag, tenths of a second from the reading to the frame
//	since   uvarint  only if the state changed: tenths of a second from the beginning of the state to the reading
//
// Of a fleet whose readings arrive in time nearly every change is two bytes.
const (
	flagSilent = 1 << iota
	flagStateChanged
)

const (
	shortRates = 250
	freshTime  = 1_000_000 // microseconds
	tenth      = 100_000   // microseconds
)

func appendChange(b []byte, change live.Change, gap uint64, now int64) []byte {
	age := now - change.Time
	began := change.StateChanged && change.Since == change.Time
	fresh := age < freshTime && age > -freshTime && !change.Silent && began == change.StateChanged
	if fresh && change.BPM >= 1 && change.BPM <= shortRates {
		return append(binary.AppendUvarint(b, gap<<1|bit(began)), byte(change.BPM))
	}
	flags := byte(flagSilent*bit(change.Silent) | flagStateChanged*bit(change.StateChanged))
	b = append(binary.AppendUvarint(b, gap<<1), 0, flags)
	b = binary.AppendVarint(b, int64(change.BPM))
	b = binary.AppendVarint(b, age/tenth)
	if change.StateChanged {
		b = binary.AppendUvarint(b, uint64(max(change.Time-change.Since, 0)/tenth))
	}
	return b
}

func bit(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func encodeChanges(frame *live.Frame) []byte {
	encoded := make([]byte, 0, 3*len(frame.Changes))
	now := frame.At.UnixMicro()
	var before uint64
	for _, change := range frame.Changes {
		encoded = appendChange(encoded, change, uint64(change.Customer)-before, now)
		before = uint64(change.Customer)
	}
	return encoded
}

type frameBody struct {
	At        int64       `json:"t"` // Unix milliseconds
	From      uint64      `json:"from"`
	To        uint64      `json:"to"`
	Observed  uint64      `json:"n"`
	Untracked uint64      `json:"untracked"`
	Rate      float64     `json:"rate"`
	Counts    live.Counts `json:"counts"`
	Changes   string      `json:"c"`
}

// encodeFrame returns the data of a frame event.
func encodeFrame(frame *live.Frame) ([]byte, error) {
	return json.Marshal(frameBody{
		At: frame.At.UnixMilli(), From: frame.From, To: frame.To, Observed: frame.Observed, Untracked: frame.Untracked,
		Rate: float64(int64(frame.Rate*10)) / 10, Counts: frame.Counts,
		Changes: base64.StdEncoding.EncodeToString(encodeChanges(frame)),
	})
}

// encodeAlerts returns the data of an alerts event: the number of the last one and, for each, customer, rate and Unix
// milliseconds.
func encodeAlerts(update live.Update) []byte {
	b := []byte(`{"last":`)
	b = strconv.AppendUint(b, update.Cursor.Alert, 10)
	b = append(b, `,"missed":`...)
	b = strconv.AppendUint(b, update.Missed, 10)
	b = append(b, `,"a":[`...)
	for i, alert := range update.Alerts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendUint(b, uint64(alert.Customer), 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(alert.BPM), 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, alert.Time.UnixMilli(), 10)
		b = append(b, ']')
	}
	return append(b, "]}"...)
}

// encoder encodes each of the newest frames once for all the viewers that share it.
type encoder struct {
	mu     sync.Mutex // guards both below; held while encoding, so that one viewer does it for the others
	to     uint64
	frames map[*live.Frame][]byte // the frames that end with to
}

func (e *encoder) encode(frame *live.Frame) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.to < frame.To {
		e.to, e.frames = frame.To, map[*live.Frame][]byte{}
	}
	if data, done := e.frames[frame]; done {
		return data, nil
	}
	data, err := encodeFrame(frame)
	if err == nil && e.to == frame.To {
		e.frames[frame] = data
	}
	return data, err
}
