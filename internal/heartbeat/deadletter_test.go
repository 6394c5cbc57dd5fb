package heartbeat

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
