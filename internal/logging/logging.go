// Package logging makes the logger of the process: coloured on a terminal that has colours, plain text or JSON elsewhere, with
// the level names of the settings.
//
// It refuses to set a default logger: constructors take one. Loggers may be shared. It is not on the path of a reading; every
// package that logs uses it.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// Format names how log lines look.
type Format string

// The formats. Auto is Text, coloured where it goes to a terminal.
const (
	Auto Format = "auto"
	Text Format = "text"
	JSON Format = "json"
)

// The layouts of a line's time; a terminal needs no date.
const (
	terminalTime = "15:04:05.000"
	plainTime    = "2006-01-02T15:04:05.000Z07:00"
)

// New returns a logger that writes lines of at least the level to w.
func New(w io.Writer, level slog.Level, format Format) *slog.Logger {
	if writer, ok := w.(*Writer); ok {
		writer.setFormat(format)
	}
	switch {
	case format == JSON:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: nameLevel}))
	case format == Auto && IsTerminal(w):
		options := &tint.Options{Level: level, ReplaceAttr: colourLevel, TimeFormat: terminalTime}
		if plainTerminal() {
			options.NoColor, options.ReplaceAttr = true, padLocalLevel
		}
		return slog.New(tint.NewTextHandler(w, options))
	default:
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, ReplaceAttr: padLevel, TimeFormat: plainTime, NoColor: true}))
	}
}

// ParseLevel reads the name of a level, in any case.
func ParseLevel(name string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(name, levelName(level)) {
			return level, nil
		}
	}
	return 0, fmt.Errorf("log level %q: want DEBUG, INFO, WARNING or ERROR", name)
}

// IsTerminal reports whether what is written to w goes to a terminal.
func IsTerminal(w io.Writer) bool {
	if writer, ok := w.(*Writer); ok {
		w = writer.out
	}
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// plainTerminal reports whether the user wants no colour (no-color.org), or the terminal has none.
func plainTerminal() bool {
	return os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "DEBUG"
	case level < slog.LevelWarn:
		return "INFO"
	case level < slog.LevelError:
		return "WARNING"
	default:
		return "ERROR"
	}
}

// nameLevel writes levels as the settings name them.
func nameLevel(groups []string, attribute slog.Attr) slog.Attr {
	if level, ok := levelOf(groups, attribute); ok {
		return slog.String(slog.LevelKey, levelName(level))
	}
	return utc(attribute)
}

// padLevel makes messages line up.
func padLevel(groups []string, attribute slog.Attr) slog.Attr {
	if level, ok := levelOf(groups, attribute); ok {
		return slog.String(slog.LevelKey, padded(level))
	}
	return utc(attribute)
}

// padLocalLevel is padLevel with times in the user's time zone.
func padLocalLevel(groups []string, attribute slog.Attr) slog.Attr {
	if level, ok := levelOf(groups, attribute); ok {
		return slog.String(slog.LevelKey, padded(level))
	}
	return attribute
}

// The terminal's bright colours.
const (
	red    = 9
	yellow = 11
	green  = 10
)

// colourLevel is padLocalLevel in colour.
func colourLevel(groups []string, attribute slog.Attr) slog.Attr {
	level, ok := levelOf(groups, attribute)
	if !ok {
		return attribute
	}
	text := slog.String(slog.LevelKey, padded(level))
	switch {
	case level >= slog.LevelError:
		return tint.Attr(red, text)
	case level >= slog.LevelWarn:
		return tint.Attr(yellow, text)
	case level >= slog.LevelInfo:
		return tint.Attr(green, text)
	default:
		return text
	}
}

// levelOf returns the level of a line, if the attribute is that.
func levelOf(groups []string, attribute slog.Attr) (slog.Level, bool) {
	if len(groups) > 0 || attribute.Key != slog.LevelKey {
		return 0, false
	}
	level, ok := attribute.Value.Any().(slog.Level)
	return level, ok
}

func padded(level slog.Level) string { return fmt.Sprintf("%-7s", levelName(level)) }

// utc puts the time of a line, and every other time, into UTC.
func utc(attribute slog.Attr) slog.Attr {
	if attribute.Value.Kind() == slog.KindTime {
		attribute.Value = slog.TimeValue(attribute.Value.Time().UTC())
	}
	return attribute
}
