// Package dotenv reads the settings in a .env file with Docker Compose's own parser, so that both read the same file in the same way.
//
// It refuses a reference to a variable that is not set, where Compose warns and leaves it out: in a password it is a dollar sign that
// should have been quoted. It also refuses text that is not UTF-8, and lines and files that are too large. An error names the file and
// the line and never shows what the line holds, because most of these files hold passwords.
//
// Load changes the environment of the process, so cmd/heartbeat calls it once, at its start, before it reads flags. It is not on the path of
// a reading.
package dotenv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

const (
	maxFile = 1 << 20
	// maxLine leaves room below Linux's limit of 128 KiB for one variable of a child process.
	maxLine = 64 << 10
)

// Load sets the variables of a file that the environment does not have. A file that does not exist sets none.
func Load(path string) error {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	values, line, err := parse(text, os.LookupEnv)
	if err != nil {
		return fmt.Errorf("read %s: line %d: %w", path, line, err)
	}
	for name, value := range values {
		if _, ok := os.LookupEnv(name); ok {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("read %s: set a variable: %w", path, err)
		}
	}
	return nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if len(text) > maxFile {
		return nil, errors.New("it is larger than 1 MiB")
	}
	return text, err
}

func withoutPath(err error) error {
	if refused, ok := errors.AsType[*fs.PathError](err); ok {
		return refused.Err
	}
	return err
}

var byteOrderMark = []byte("\ufeff")

// parse returns the variables of a file, or the error and its line.
func parse(text []byte, lookup dotenv.LookupFn) (values map[string]string, line int, err error) {
	lines := strings.SplitAfter(string(bytes.TrimPrefix(text, byteOrderMark)), "\n")
	for i, line := range lines {
		if err := checkLine(line); err != nil {
			return nil, i + 1, err
		}
	}
	values = map[string]string{}
	for first := 0; first < len(lines); {
		count, err := statement(lines[first:], values, lookup)
		if err != nil {
			return nil, first + 1, err
		}
		first += count
	}
	return values, 0, nil
}

func checkLine(line string) error {
	switch {
	case strings.ContainsRune(line, 0):
		return errors.New("it holds a NUL character: save the file as UTF-8")
	case !utf8.ValidString(line):
		return errors.New("it is not UTF-8: save the file as UTF-8")
	case len(line) > maxLine:
		return errors.New("it is longer than 64 KiB")
	}
	return nil
}

var errSyntax = errors.New(`want NAME=VALUE, with every quote closed, and a value that holds a dollar sign between single quotes`)

var errUnset = errors.New(`it refers with "$" to a variable that is not set: put a value that holds a dollar sign between single quotes`)

// statement adds the variable that is set by the first line, or the first lines where a quoted value goes on, and returns how
// many lines it took. The parser reads one statement at a time, because it does not say in which line it failed.
func statement(lines []string, values map[string]string, lookup dotenv.LookupFn) (count int, err error) {
	var text strings.Builder
	for count, line := range lines {
		text.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		if count > 0 && !strings.ContainsAny(line, `"'`) {
			continue // cannot close the quote
		}
		unset := false
		plain := plainReferences(text.String())
		found, err := dotenv.UnmarshalWithLookup(text.String(), func(name string) (string, bool) {
			if value, ok := lookup(name); ok {
				return value, true
			}
			if value, ok := values[name]; ok || !plain[name] {
				return value, ok
			}
			unset = true
			return "", true // so that the parser does not log the name, which may be part of a password
		})
		switch _, nameless := found[""]; {
		case err == nil && unset:
			return 0, errUnset
		case err == nil && nameless:
			return 0, errSyntax
		case err == nil:
			for name, value := range found {
				values[name] = value
			}
			return count + 1, nil
		case !strings.ContainsAny(line, `"'`) || text.Len() > maxLine:
			return 0, errSyntax // no quote that a later line could close, or one that was forgotten
		}
	}
	return 0, errSyntax
}

// reference is $NAME or ${NAME}; a reference with a default, such as ${NAME:-value}, is no plain one.
var reference = regexp.MustCompile(`(?i)\$(?:([_a-z][_a-z0-9]*)|\{([_a-z][_a-z0-9]*)\})`)

// plainReferences returns the names that the text refers to without saying what holds where they are not set.
func plainReferences(text string) map[string]bool {
	names := map[string]bool{}
	for _, match := range reference.FindAllStringSubmatch(text, -1) {
		names[match[1]+match[2]] = true
	}
	return names
}
