package heartbeat

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDeadLetterKeepsTheRecordAndTheReason(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 20, 10, 0, 0, 0, time.UTC)
	record := Record{Offset: 7, Timestamp: at, Key: []byte("key"), Value: []byte("value")}
	rejection := Rejection{Reason: NotJSON, Detail: "why", Customer: "CUST_00042"}
	want := DeadLetter{
		Rejection: rejection,
		Offset:    7,
		Timestamp: at,
		Key:       []byte("key"),
		Value:     []byte("value"),
		Length:    5,
		SHA256:    sha256.Sum256([]byte("value")),
	}
	if diff := cmp.Diff(want, NewDeadLetter(record, &rejection)); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
}

func TestDeadLetterTellsATombstoneFromNoBytes(t *testing.T) {
	t.Parallel()
	tombstone := NewDeadLetter(Record{}, &Rejection{Reason: Empty})
	if tombstone.Value != nil || tombstone.Key != nil {
		t.Errorf("key %#v, value %#v, want nil for both", tombstone.Key, tombstone.Value)
	}
	blank := NewDeadLetter(Record{Key: []byte{}, Value: []byte{}}, &Rejection{Reason: Empty})
	if blank.Value == nil || blank.Key == nil {
		t.Errorf("key %#v, value %#v, want empty slices that are not nil", blank.Key, blank.Value)
	}
}

func TestDeadLetterKeepsTheStartOfALargeRecordAndTheTruthAboutAll(t *testing.T) {
	t.Parallel()
	value := bytes.Repeat([]byte("ab"), MaxDeadLetterBytes)
	letter := NewDeadLetter(Record{Key: value, Value: value}, &Rejection{Reason: TooLarge})
	if len(letter.Key) != MaxDeadLetterBytes || len(letter.Value) != MaxDeadLetterBytes {
		t.Errorf("kept %d bytes of the key and %d of the value, want %d", len(letter.Key), len(letter.Value), MaxDeadLetterBytes)
	}
	if letter.Length != len(value) || letter.SHA256 != sha256.Sum256(value) {
		t.Errorf("length %d and hash %x are not those of the whole value", letter.Length, letter.SHA256)
	}
}

func TestRejectionDetailIsAlwaysFitToBeStored(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]string{
		"plain":                        "plain",
		"a\x00b":                       "ab",
		"a\xffb":                       "ab",
		strings.Repeat("é", 200):       strings.Repeat("é", maxDetailBytes/2),
		"x" + strings.Repeat("é", 200): "x" + strings.Repeat("é", maxDetailBytes/2-1),
	} {
		if got := Reject(NotJSON, detail).Detail; got != want {
			t.Errorf("detail of %.20q… is %q, want %q", detail, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Byte(), 0, 2*maxDetailBytes).Draw(t, "bytes")
		checkDetail(t, Reject(NotJSON, string(bytes)).Detail)
		checkDetail(t, excerpt(bytes))
	})
}

func TestExcerptEndsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             `""`,
		"a\n\x00\xff":                  `"a\n\x00\xff"`,
		strings.Repeat("a", 40):        `"` + strings.Repeat("a", 40) + `"`,
		strings.Repeat("a", 41):        `"` + strings.Repeat("a", 40) + `"…`,
		strings.Repeat("a", 39) + "éé": `"` + strings.Repeat("a", 39) + `"…`,
		strings.Repeat("é", 21):        `"` + strings.Repeat("é", 20) + `"…`,
	} {
		if got := excerpt(text); got != want {
			t.Errorf("excerpt(%q) = %s, want %s", text, got, want)
		}
	}
}

// fataler is the part of a test that checks below need, so that they serve plain, fuzz and property tests.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkDetail(t fataler, detail string) {
	t.Helper()
	if len(detail) > maxDetailBytes || !utf8.ValidString(detail) || strings.ContainsRune(detail, 0) {
		t.Fatalf("a detail of %d bytes is too long, not UTF-8 or has a NUL: %q", len(detail), detail)
	}
}
