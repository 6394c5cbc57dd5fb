package heartbeat

import (
	"encoding/hex"
	"testing"
	"time"
)

// The hashes were computed with Python's hashlib and struct: producers and consumers of different versions must agree on them.
func TestRecordIDsStayTheSame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		id   RecordID
		want string
	}{
		"key":      {KeyedRecordID("gateway-1", "a7f3", 12, []byte("{}")), "c9a84ffb3ef02fedcf7ce95193283a6c"},
		"sequence": {SequencedRecordID("w-7", 918, &Reading{42, Normal, 72, time.Unix(1_800_000_000, 0)}), "4eef536b1eab9d06d103a4205d12d268"},
	} {
		if got := hex.EncodeToString(test.id[:]); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestRecordIDsOfDifferentReadingsDiffer(t *testing.T) {
	t.Parallel()
	seen, at := map[RecordID]int{}, time.Unix(1_800_000_000, 0)
	for i, id := range []RecordID{
		KeyedRecordID("a", "bc", 1, nil), KeyedRecordID("ab", "c", 1, nil), KeyedRecordID("a", "bc1", 1, nil), KeyedRecordID("a", "bc", 11, nil),
		KeyedRecordID("a", "bc", 1, []byte("1")), KeyedRecordID("", "abc", 1, nil), KeyedRecordID("CUST_00042", "a", 1, nil),
		SequencedRecordID("a", 1, &Reading{42, Normal, 72, at}), SequencedRecordID("a", -1, &Reading{42, Normal, 72, at}), SequencedRecordID("a1", 1, &Reading{42, Normal, 72, at}), SequencedRecordID("a", 1, &Reading{43, Normal, 72, at}),
		SequencedRecordID("a", 1, &Reading{42, Normal, 72, at.Add(time.Microsecond)}), SequencedRecordID("a", 1, &Reading{42, Normal, 73, at}),
	} {
		if before, twice := seen[id]; twice {
			t.Errorf("readings %d and %d have the same id %x", before, i, id)
		}
		seen[id] = i
	}
}
