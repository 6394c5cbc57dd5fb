package heartbeat

import (
	"encoding/hex"
	"testing"
)

// The hashes were computed with Python's hashlib and struct: producers and consumers of different versions must agree on them.
func TestRecordIDsStayTheSame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		id   RecordID
		want string
	}{
		"key":      {KeyedRecordID("gateway-1", "a7f3", 12), "b77d8ce6b7c84fd73e543068795542ea"},
		"sequence": {SequencedRecordID(42, "w-7", 918), "946b9cb0004ade0794a258be38a81594"},
	} {
		if got := hex.EncodeToString(test.id[:]); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestRecordIDsOfDifferentReadingsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[RecordID]int{}
	for i, id := range []RecordID{
		KeyedRecordID("a", "bc", 1), KeyedRecordID("ab", "c", 1), KeyedRecordID("a", "bc1", 1), KeyedRecordID("a", "bc", 11),
		KeyedRecordID("", "abc", 1), KeyedRecordID("CUST_00042", "a", 1), SequencedRecordID(42, "a", 1), SequencedRecordID(42, "a", -1),
		SequencedRecordID(42, "a1", 1), SequencedRecordID(43, "a", 1),
	} {
		if before, twice := seen[id]; twice {
			t.Errorf("readings %d and %d have the same id %x", before, i, id)
		}
		seen[id] = i
	}
}
