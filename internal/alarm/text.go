package alarm

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// checkText refuses a text that a person must not write: one that cannot be stored, or that a terminal would take for a command.
func checkText(what, text string) error {
	switch {
	case len(text) > MaxText:
		return refuse(TextTooLong, "%s has %d bytes: %d at most", what, len(text), MaxText)
	case !utf8.ValidString(text):
		return refuse(BadRequest, "%s is not UTF-8", what)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r) }):
		return refuse(BadRequest, "%s has a control character that is no line break", what)
	}
	return nil
}

// checkName refuses a name that is no single line.
func checkName(what, name string) error {
	switch {
	case len(name) > MaxName:
		return refuse(TextTooLong, "%s has %d bytes: %d at most", what, len(name), MaxName)
	case !utf8.ValidString(name):
		return refuse(BadRequest, "%s is not UTF-8", what)
	case strings.ContainsFunc(name, unicode.IsControl):
		return refuse(BadRequest, "%s has a control character", what)
	}
	return nil
}

// checkTime refuses a time of a limit that JSON cannot hold. An offset can move a time into another year.
func checkTime(what string, at time.Time) error {
	if year := at.UTC().Year(); !at.IsZero() && (year < 2000 || year > 9999) {
		return refuse(BadRequest, "%s is outside the years 2000 to 9999 in UTC", what)
	}
	return nil
}
