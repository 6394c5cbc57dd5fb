package heartbeat

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// reference judges a record slowly and by other means: encoding/json, regular expressions and time.Parse. An empty
// reason means that the reading is valid.
func reference(record Record, retention time.Duration) (Reading, Reason) {
	value := record.Value
	switch {
	case len(value) == 0:
		return Reading{}, Empty
	case len(value) > MaxValueBytes:
		return Reading{}, TooLarge
	case !utf8.Valid(value):
		return Reading{}, BadUTF8
	case !json.Valid(value):
		return Reading{}, NotJSON
	case hasLoneSurrogate(value):
		return Reading{}, BadUTF8
	case bytes.TrimLeft(value, " \t\r\n")[0] != '{':
		return Reading{}, NotObject
	case hasDuplicates(value):
		return Reading{}, DuplicateField
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		panic(err)
	}
	return referenceReading(members, record.Timestamp, retention)
}

func referenceReading(members map[string]json.RawMessage, kafka time.Time, retention time.Duration) (Reading, Reason) {
	customer, rate, timestamp := string(members["customer_id"]), string(members["heart_rate"]), string(members["timestamp"])
	for _, text := range []string{customer, rate, timestamp} {
		if text == "" || text == "null" {
			return Reading{}, MissingField
		}
	}
	var id, at string
	if json.Unmarshal([]byte(customer), &id) != nil || json.Unmarshal([]byte(timestamp), &at) != nil ||
		!strings.ContainsAny(rate[:1], "-0123456789") {
		return Reading{}, WrongType
	}
	if !regexp.MustCompile(`^CUST_([0-9]{5}|[1-9][0-9]{5,8})\z`).MatchString(id) {
		return Reading{}, BadCustomerID
	}
	number, _ := strconv.Atoi(id[len("CUST_"):])
	moment, ok := referenceTimestamp(at)
	if !ok {
		return Reading{}, BadTimestamp
	}
	if moment.Year() < 2000 || moment.Sub(kafka) > 10*time.Minute || retention > 0 && kafka.Sub(moment) > retention {
		return Reading{}, TimestampRange
	}
	double, _ := strconv.ParseFloat(rate, 64)
	class, bpm := Classify(double)
	if string(members["contact"]) == "false" {
		class, bpm = Invalid, 0
	}
	return Reading{Customer: CustomerID(number), Class: class, BPM: bpm, Time: moment}, ""
}

var (
	jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	jsonEscape = regexp.MustCompile(`\\(?:u[0-9A-Fa-f]{4}|.)`)
)

// hasLoneSurrogate looks through all strings of a valid JSON text.
func hasLoneSurrogate(value []byte) bool {
	for _, text := range jsonString.FindAll(value, -1) {
		high, end := rune(0), -1 // the last escape, if it was the first half of a pair
		for _, at := range jsonEscape.FindAllIndex(text, -1) {
			var r rune
			if escape := text[at[0]:at[1]]; escape[1] == 'u' {
				n, _ := strconv.ParseUint(string(escape[2:]), 16, 16)
				r = rune(n)
			}
			if high != 0 && (at[0] != end || utf16.DecodeRune(high, r) == utf8.RuneError) {
				return true
			}
			switch {
			case high != 0:
				high = 0
			case r >= 0xdc00 && r <= 0xdfff:
				return true
			case r >= 0xd800 && r <= 0xdbff:
				high, end = r, at[1]
			}
		}
		if high != 0 {
			return true
		}
	}
	return false
}

// hasDuplicates looks through all objects of a valid JSON text.
func hasDuplicates(value []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	var open []map[string]bool // the names of each object that is open, nil for an array
	name := false
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		switch inner := len(open) - 1; {
		case token == json.Delim('{'):
			open = append(open, map[string]bool{})
			name = true
			continue
		case token == json.Delim('['):
			open = append(open, nil)
			name = false
			continue
		case token == json.Delim('}') || token == json.Delim(']'):
			open = open[:inner]
		case name:
			if open[inner][token.(string)] {
				return true
			}
			open[inner][token.(string)] = true
			name = false
			continue
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}
