package heartbeat

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCustomerIDHasOneSpelling(t *testing.T) {
	t.Parallel()
	for id, want := range map[CustomerID]string{
		0:             "CUST_00000",
		1:             "CUST_00001",
		9:             "CUST_00009",
		10:            "CUST_00010",
		42:            "CUST_00042",
		999:           "CUST_00999",
		1_000:         "CUST_01000",
		9_999:         "CUST_09999",
		10_000:        "CUST_10000",
		99_999:        "CUST_99999",
		100_000:       "CUST_100000",
		MaxCustomerID: "CUST_999999999",
	} {
		if got := id.String(); got != want {
			t.Errorf("CustomerID(%d).String() = %s, want %s", uint32(id), got, want)
		}
		if got, err := ParseCustomerID(want); err != nil || got != id {
			t.Errorf("ParseCustomerID(%q) = %d, %v, want %d", want, uint32(got), err, uint32(id))
		}
	}
}

func TestCustomerIDRefusesEveryOtherForm(t *testing.T) {
	t.Parallel()
	for _, text := range illFormedIDs {
		if id, err := ParseCustomerID(text); err == nil {
			t.Errorf("ParseCustomerID(%q) = %s, want an error", text, id)
		}
		if _, err := ParseCustomerID([]byte(text)); err == nil {
			t.Errorf("ParseCustomerID([]byte(%q)) accepts it, want an error", text)
		}
	}
}

// illFormedIDs are ids as people, spreadsheets and attackers spell them.
var illFormedIDs = []string{
	"",
	"CUST_",
	"CUST_1",
	"CUST_0042",
	"CUST_000042",
	"CUST_0000000042",
	"CUST_1000000000",
	"CUST_0004x",
	"CUST_00042\n",
	"\nCUST_00042",
	" CUST_00042",
	"CUST_00042 ",
	"CUST_00042\x00",
	"CUST_+0042",
	"CUST_-0042",
	"CUST_00_42",
	"CUST-00042",
	"CUST00042",
	"cust_00042",
	"Cust_00042",
	"CUST_\u0660\u0660\u0660\u0664\u0662", // Arabic digits
	"CUST_\uff10\uff10\uff10\uff14\uff12", // full-width digits
	"\uff23UST_00042",                     // a full-width C
	"\u0421UST_00042",                     // a Cyrillic C
	"00042",
	"42",
	"CUST_00042'; DROP TABLE heartbeat_records; --",
	strings.Repeat("CUST_00042", 1000),
}

func TestCustomerIDErrorIsShortWhateverTheText(t *testing.T) {
	t.Parallel()
	_, err := ParseCustomerID(strings.Repeat("\x00", MaxValueBytes))
	if len(err.Error()) > maxDetailBytes {
		t.Errorf("the error has %d bytes, want at most %d", len(err.Error()), maxDetailBytes)
	}
}

func TestCustomerIDParsesWhatItPrintsAndNothingElse(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^CUST_([0-9]{5}|[1-9][0-9]{5,8})\z`)
	rapid.Check(t, func(t *rapid.T) {
		id := CustomerID(rapid.Uint32Max(uint32(MaxCustomerID)).Draw(t, "id"))
		text := id.String()
		if got, err := ParseCustomerID(text); err != nil || got != id || !form.MatchString(text) {
			t.Fatalf("%d prints as %s, which parses as %d, %v", uint32(id), text, uint32(got), err)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`(CUST_|cust_|CUST)?[0-9]{0,11}[x\n]?`).Draw(t, "text")
		id, err := ParseCustomerID(text)
		if wellFormed := form.MatchString(text); wellFormed != (err == nil) {
			t.Fatalf("ParseCustomerID(%q) error = %v, want well-formed = %t", text, err, wellFormed)
		}
		if err == nil && id.String() != text {
			t.Fatalf("%q parses as an id that prints as %s", text, id)
		}
	})
}
