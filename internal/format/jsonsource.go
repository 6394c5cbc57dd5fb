package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heartbeat/internal/heartbeat"
)

// maxValueBytes bounds each value that is read whole. An entry of a Bundle may carry a scanned page; a reading is small.
const maxValueBytes = 16 << 20

// jsonSource walks a JSON text, or several one after another, in bounded memory. Duplicate names and bad UTF-8 pass the walk: a
// strict second look at each value that matters finds them, so that only that value is left out.
type jsonSource struct {
	decoder *jsontext.Decoder
	input   *boundedReader
}

// boundedReader bounds how much a decoder holds and has not returned yet.
type boundedReader struct {
	reader         io.Reader
	most           int64
	read, returned int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.read-b.returned > b.most {
		return 0, fmt.Errorf("a value is larger than %d MiB", b.most>>20)
	}
	n, err := b.reader.Read(p)
	b.read += int64(n)
	return n, err
}

func newJSONSource(r io.Reader) *jsonSource {
	input := &boundedReader{reader: withoutBOM(r), most: maxValueBytes}
	return &jsonSource{
		decoder: jsontext.NewDecoder(input, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		input:   input,
	}
}

// withoutBOM skips a byte order mark.
func withoutBOM(r io.Reader) *bufio.Reader {
	const bom = "\ufeff"
	buffered, ok := r.(*bufio.Reader)
	if !ok {
		buffered = bufio.NewReaderSize(r, 64<<10)
	}
	if first, _ := buffered.Peek(len(bom)); string(first) == bom {
		_, _ = buffered.Discard(len(bom))
	}
	return buffered
}

// errStop ends a walk whose caller wants no more items.
var errStop = errors.New("no more items wanted")

// next returns the kind of the next token. Before a fault it is 0: reading reports it.
func (s *jsonSource) next() jsontext.Kind {
	s.input.returned = s.decoder.InputOffset()
	return s.decoder.PeekKind()
}

// value reads one value whole. It is valid until the next call.
func (s *jsonSource) value() (jsontext.Value, error) {
	s.next()
	value, err := s.decoder.ReadValue()
	return value, s.explain(err)
}

func (s *jsonSource) token() (jsontext.Token, error) {
	s.next()
	token, err := s.decoder.ReadToken()
	return token, s.explain(err)
}

// skip passes over one value of any size.
func (s *jsonSource) skip() error {
	depth := s.decoder.StackDepth()
	for {
		if _, err := s.token(); err != nil {
			return err
		}
		if s.decoder.StackDepth() <= depth {
			return nil
		}
	}
}

// explain says where the text cannot be read on.
func (s *jsonSource) explain(err error) error {
	fault, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the text ends at byte %d in the middle of a value", s.input.read)
	case ok:
		return fmt.Errorf("byte %d is not JSON: %w", fault.ByteOffset, fault.Err)
	default:
		return fmt.Errorf("read after byte %d: %w", s.decoder.InputOffset(), err)
	}
}

// texts calls visit at the start of each top-level value, which visit reads.
func (s *jsonSource) texts(visit func() error) error {
	for {
		if s.next() == 0 {
			if _, err := s.token(); err != io.EOF {
				return err
			}
			return nil
		}
		if err := visit(); err != nil {
			return err
		}
	}
}

// oneText is texts for a document that must hold exactly one.
func (s *jsonSource) oneText(visit func() error) error {
	count := 0
	err := s.texts(func() error {
		if count++; count > 1 {
			return errors.New("there is more text after the JSON value")
		}
		return visit()
	})
	if err == nil && count == 0 {
		return errors.New("the document is empty")
	}
	return err
}

// members reads an object; visit reads each member's value.
func (s *jsonSource) members(visit func(name string) error) error {
	if _, err := s.token(); err != nil {
		return err
	}
	for s.next() != jsontext.KindEndObject {
		name, err := s.token()
		if err != nil {
			return err
		}
		if err := visit(name.String()); err != nil {
			return err
		}
	}
	_, err := s.token()
	return err
}

// elements reads an array; visit reads each element.
func (s *jsonSource) elements(visit func() error) error {
	if _, err := s.token(); err != nil {
		return err
	}
	for s.next() != jsontext.KindEndArray {
		if err := visit(); err != nil {
			return err
		}
	}
	_, err := s.token()
	return err
}

// readStrictly reads one value into target, where each name stands once and each text is UTF-8.
func readStrictly(value []byte, target any) *heartbeat.Rejection {
	err := json.Unmarshal(value, target)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		return reject(heartbeat.WrongType, "%s is %s", place(wrong.JSONPointer), kindName(wrong.JSONKind))
	}
	fault, _ := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case fault == nil:
		return reject(heartbeat.NotJSON, "%v", err)
	case errors.Is(err, jsontext.ErrDuplicateName):
		return reject(heartbeat.DuplicateField, "%s stands twice", place(fault.JSONPointer))
	case !bytes.Equal(bytes.ToValidUTF8(value, nil), value):
		return reject(heartbeat.BadUTF8, "%s is not UTF-8", place(fault.JSONPointer))
	default:
		return reject(heartbeat.NotJSON, "%s: %v", place(fault.JSONPointer), fault.Err)
	}
}

// place names a member as a person writes it.
func place(pointer jsontext.Pointer) string {
	if pointer == "" {
		return "the value"
	}
	return quote(string(pointer))
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindFalse, jsontext.KindTrue:
		return "a boolean"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindBeginObject:
		return "an object"
	default:
		return "an array"
	}
}

// readNumber reads a JSON number as a double; one beyond the range of a double is infinite.
func readNumber(field string, value jsontext.Value) (float64, *heartbeat.Rejection) {
	switch value.Kind() {
	case jsontext.KindNumber:
		number, _ := strconv.ParseFloat(string(value), 64)
		return number, nil
	case 0, jsontext.KindNull:
		return 0, reject(heartbeat.MissingField, "%s is missing", field)
	default:
		return 0, reject(heartbeat.WrongType, "%s is %s, want a number", field, kindName(value.Kind()))
	}
}
