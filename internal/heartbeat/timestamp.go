package heartbeat

import "time"

const timestampForm = "a date and time with an offset, such as 2026-02-20T10:00:00.123456+00:00"

// ParseTimestamp reads a time as the timestamp of an event has it.
func ParseTimestamp(text string) (time.Time, bool) { return parseTimestamp([]byte(text)) }

// parseTimestamp reads an RFC 3339 date and time with an offset, 'T' or one space between the two, and returns it in
// UTC. Digits finer than a microsecond are cut off. Leap seconds are refused: no clock here can tell them from the
// next second. time.Parse is more lenient in some places, such as a comma before the fraction, and slower.
func parseTimestamp(text []byte) (time.Time, bool) {
	const layout = "2006-01-02T15:04:05"
	if len(text) <= len(layout) || (text[10] != 'T' && text[10] != ' ') ||
		text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' {
		return time.Time{}, false
	}
	var p digits
	year, month, day := p.number(text[:4]), p.number(text[5:7]), p.number(text[8:10])
	hour, minute, second := p.number(text[11:13]), p.number(text[14:16]), p.number(text[17:19])
	micro, rest := p.fraction(text[len(layout):])
	offset := p.offset(rest)
	if p.bad || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, micro*1000, time.UTC)
	return at.Add(-offset), true
}

// digits reads decimal numbers and remembers whether anything else was met.
type digits struct{ bad bool }

func (p *digits) number(text []byte) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			p.bad = true
		}
		n = n*10 + int(c) - '0'
	}
	return n
}

// fraction reads the digits after a point, if there is one, as microseconds.
func (p *digits) fraction(text []byte) (micro int, rest []byte) {
	if len(text) == 0 || text[0] != '.' {
		return 0, text
	}
	end := 1
	for scale := 100_000; end < len(text) && '0' <= text[end] && text[end] <= '9'; end++ {
		micro += int(text[end]-'0') * scale
		scale /= 10
	}
	p.bad = p.bad || end == 1
	return micro, text[end:]
}

// offset reads Z or ±hh:mm.
func (p *digits) offset(text []byte) time.Duration {
	if string(text) == "Z" {
		return 0
	}
	if len(text) != len("+00:00") || (text[0] != '+' && text[0] != '-') || text[3] != ':' {
		p.bad = true
		return 0
	}
	hours, minutes := p.number(text[1:3]), p.number(text[4:6])
	p.bad = p.bad || hours > 23 || minutes > 59
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if text[0] == '-' {
		return -offset
	}
	return offset
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}
