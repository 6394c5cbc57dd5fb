package heartbeat

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// diagnose finds the first reason why parse refused the value. The strict pass stopped at the first fault in the text,
// which need not be the first in the order of reasons.
func (d *Decoder) diagnose(value []byte, strict error) *Rejection {
	if at := invalidUTF8(value); at >= 0 {
		return Reject(BadUTF8, fmt.Sprintf("byte %d is not UTF-8", at))
	}
	kind, err := d.scan(value)
	rejection, lone := errors.AsType[*Rejection](err)
	switch {
	case lone:
		return rejection
	case err != nil:
		return Reject(NotJSON, syntaxDetail(err))
	case kind != jsontext.KindBeginObject:
		return Reject(NotObject, fmt.Sprintf("the value is %s, want an object", kindName(kind)))
	case errors.Is(strict, jsontext.ErrDuplicateName):
		return Reject(DuplicateField, fmt.Sprintf("two fields of one object are named %s", excerpt(pointer(strict).LastToken())))
	default:
		return Reject(NotJSON, syntaxDetail(strict))
	}
}

// invalidUTF8 returns the index of the first byte that is not UTF-8, or -1.
func invalidUTF8(value []byte) int {
	for at := 0; at < len(value); {
		r, size := utf8.DecodeRune(value[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// scan reads the value as JSON that may have duplicate names, and returns its kind. The error is of the first fault: a
// *Rejection for a string with a lone surrogate, any other for a fault of syntax.
func (d *Decoder) scan(value []byte) (jsontext.Kind, error) {
	d.reset(value, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	top := d.json.PeekKind()
	for {
		if err := d.scanToken(); err != nil {
			return top, err
		}
		if d.json.StackDepth() == 0 {
			return top, d.end()
		}
	}
}

func (d *Decoder) scanToken() error {
	if d.json.PeekKind() != jsontext.KindString {
		_, err := d.json.ReadToken()
		return err
	}
	quoted, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	// All else that could be wrong with a string was refused before.
	if d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], quoted); err != nil {
		return Reject(BadUTF8, fmt.Sprintf("the string before byte %d has half of a surrogate pair", d.json.InputOffset()))
	}
	return nil
}

// syntaxDetail says for a person what keeps a text from being JSON.
func syntaxDetail(err error) string {
	fault, located := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case err == io.EOF:
		return "the value is blank"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the text ends before the JSON value does"
	case located:
		return fmt.Sprintf("%v at byte %d", fault.Err, fault.ByteOffset)
	default:
		return err.Error()
	}
}

// pointer returns where in the value the fault is.
func pointer(err error) jsontext.Pointer {
	if fault, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fault.JSONPointer
	}
	return ""
}

// fault tells what keeps the fields from being typed: all that are missing, or else all of another type.
func (f *fields) fault() *Rejection {
	var missing, mistyped []string
	for _, field := range []struct {
		name  string
		value jsontext.Value
		want  jsontext.Kind
	}{
		{"customer_id", f.customer, jsontext.KindString},
		{"heart_rate", f.rate, jsontext.KindNumber},
		{"timestamp", f.timestamp, jsontext.KindString},
	} {
		switch kind := field.value.Kind(); kind {
		case field.want:
		case jsontext.KindInvalid:
			missing = append(missing, field.name+" is missing")
		case jsontext.KindNull:
			missing = append(missing, field.name+" is null")
		default:
			mistyped = append(mistyped, fmt.Sprintf("%s is %s, want %s", field.name, kindName(kind), kindName(field.want)))
		}
	}
	if len(missing) > 0 {
		return Reject(MissingField, strings.Join(missing, ", "))
	}
	return Reject(WrongType, strings.Join(mistyped, ", "))
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindTrue, jsontext.KindFalse:
		return "a boolean"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "an array"
	default:
		return "null"
	}
}
