package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// table prints rows in aligned columns.
type table struct {
	out *tabwriter.Writer
}

// newTable begins with a header, or without one.
func newTable(out io.Writer, header ...string) table {
	t := table{out: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if len(header) > 0 {
		fmt.Fprintln(t.out, strings.Join(header, "\t"))
	}
	return t
}

func (t table) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.out, "\t")
		}
		fmt.Fprint(t.out, onOneLine(fmt.Sprint(cell)))
	}
	fmt.Fprintln(t.out)
}

// onOneLine replaces what a terminal obeys or hides. A note or a name comes from anybody who may act.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return utf8.RuneError
		}
	}, text)
}

// flush prints the rows. An error of an earlier write shows here.
func (t table) flush() error { return t.out.Flush() }

func textOr(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func textOrDash(text string) string { return textOr(text, "-") }

func numberOrDash(n int32) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// timeOrDash is for a time that may be zero.
func timeOrDash(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Format(time.RFC3339)
}

// deref is the zero value for nil.
func deref[T any](value *T) T {
	if value == nil {
		return *new(T)
	}
	return *value
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
