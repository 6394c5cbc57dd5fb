package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// xmlTags finds the tags of an XML text in bounded memory. It is lenient where Apple's own exports need it: it skips the document type
// definition unread, however broken, allows any character in an attribute, and expands no entity but characters.
type xmlTags struct {
	reader *bufio.Reader
	tag    []byte
}

// maxTagBytes is the size beyond which a tag is an error.
const maxTagBytes = 256 << 10

// next returns what stands between < and > of the next tag, valid until the next call, or io.EOF.
func (x *xmlTags) next() ([]byte, error) {
	for {
		if err := x.skipPast("<"); err != nil {
			return nil, err
		}
		var err error
		switch start, _ := x.reader.Peek(len("![CDATA[")); {
		case bytes.HasPrefix(start, []byte("!--")):
			err = x.skipPast("-->")
		case bytes.HasPrefix(start, []byte("![CDATA[")):
			err = x.skipPast("]]>")
		case bytes.HasPrefix(start, []byte("!DOCTYPE")):
			err = x.skipDocumentType()
		case bytes.HasPrefix(start, []byte("?")):
			err = x.skipPast("?>")
		case bytes.HasPrefix(start, []byte("!")):
			err = x.skipPast(">")
		default:
			return x.read()
		}
		if err != nil {
			return nil, cut(err)
		}
	}
}

// cut is the error of a text that ends in the middle.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skipPast skips up to a text that ends with > or is one byte.
func (x *xmlTags) skipPast(text string) error {
	last := text[len(text)-1]
	var tail []byte // the end of what was skipped, which may hold the start of the text
	for {
		part, err := x.reader.ReadSlice(last)
		if tail = append(tail, part[max(0, len(part)-len(text)):]...); len(tail) > len(text) {
			tail = append(tail[:0], tail[len(tail)-len(text):]...)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if string(tail) == text {
			return nil
		}
	}
}

// skipDocumentType skips a document type with its definitions, which end with ]>. A definition whose end is missing
// ends where the data begins.
func (x *xmlTags) skipDocumentType() error {
	for inside := false; ; {
		start, err := x.reader.Peek(1 + len(healthData))
		if len(start) == 0 {
			return err
		}
		if string(start) == "<"+healthData {
			return nil
		}
		switch b, _ := x.reader.ReadByte(); {
		case b == '[':
			inside = true
		case b == '>' && !inside:
			return nil
		case b == ']' && inside:
			if rest, _ := x.reader.Peek(64); bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(">")) {
				return x.skipPast(">")
			}
		}
	}
}

// read reads a tag up to the > that is not within quotes.
func (x *xmlTags) read() ([]byte, error) {
	x.tag = x.tag[:0]
	var quote byte
	for {
		part, err := x.reader.ReadSlice('>')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, cut(err)
		}
		for _, b := range part {
			switch {
			case quote != 0 && b == quote:
				quote = 0
			case quote == 0 && (b == '"' || b == '\''):
				quote = b
			}
		}
		x.tag = append(x.tag, part...)
		if len(x.tag) > maxTagBytes {
			return nil, fmt.Errorf("a tag is larger than %d KiB", maxTagBytes>>10)
		}
		if err == nil && quote == 0 {
			return x.tag[:len(x.tag)-1], nil
		}
	}
}

// nameOf splits a tag into its name and its attributes.
func nameOf(tag []byte) (name string, attributes []byte) {
	end := bytes.IndexAny(tag, " \t\r\n")
	if end < 0 {
		return string(bytes.TrimSuffix(tag, []byte("/"))), nil
	}
	return string(tag[:end]), tag[end:]
}

// attribute returns the next attribute of a tag as it stands, and what follows. Without one, ok is false.
func attribute(tag []byte) (name, value, rest []byte, ok bool) {
	tag = bytes.TrimLeft(tag, " \t\r\n")
	equals := bytes.IndexByte(tag, '=')
	if equals < 0 {
		return nil, nil, nil, false
	}
	name = bytes.TrimRight(tag[:equals], " \t\r\n")
	tag = bytes.TrimLeft(tag[equals+1:], " \t\r\n")
	if len(tag) == 0 || tag[0] != '"' && tag[0] != '\'' {
		return nil, nil, nil, false
	}
	end := bytes.IndexByte(tag[1:], tag[0])
	if end < 0 {
		return nil, nil, nil, false
	}
	return name, tag[1 : 1+end], tag[2+end:], true
}

// unescape replaces the references to characters and leaves out control characters. Any other reference stays as it is.
func unescape(value []byte) string {
	text := string(value)
	if strings.Contains(text, "&") {
		text = characters(text)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

var namedCharacters = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

func characters(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "&")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		reference, rest, ended := strings.Cut(after, ";")
		replacement, known := namedCharacters[reference]
		if number, is := strings.CutPrefix(reference, "#"); is && !known {
			replacement, known = numbered(number)
		}
		if !ended || !known {
			b.WriteByte('&')
			text = after
			continue
		}
		b.WriteString(replacement)
		text = rest
	}
}

func numbered(number string) (string, bool) {
	base := 10
	if hex, is := strings.CutPrefix(number, "x"); is {
		number, base = hex, 16
	}
	code, err := strconv.ParseUint(number, base, 21)
	if err != nil || code > unicode.MaxRune {
		return "", false
	}
	return string(rune(code)), true
}
