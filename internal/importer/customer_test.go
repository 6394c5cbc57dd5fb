package importer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
)

// who is the customer of a reading, or the reason why there is none.
func who(c *Customers, subject string) string {
	id, rejection := c.of(&format.Sample{Subject: subject})
	if rejection != nil {
		return string(rejection.Reason)
	}
	return id.String()
}

func TestWhoseAReadingIs(t *testing.T) {
	t.Parallel()
	one := heartbeat.CustomerID(42)
	for name, c := range map[string]struct {
		customers Customers
		subjects  []string
		want      []string
	}{
		"without options": {Customers{}, []string{"CUST_00007", "", "Patient/7"},
			[]string{"CUST_00007", "unknown_customer", "unknown_customer"}},
		"one customer": {Customers{One: &one}, []string{"", "CUST_00042", "CUST_00007", "p-7", "p-7", "p-8", ""},
			[]string{"CUST_00042", "CUST_00042", "other_customer", "CUST_00042", "CUST_00042", "other_customer", "CUST_00042"}},
		"a map": {Customers{Map: map[string]heartbeat.CustomerID{"p-7": 7, "CUST_00001": 2}}, []string{"p-7", "p-8", "CUST_00003", "CUST_00001", ""},
			[]string{"CUST_00007", "unknown_customer", "CUST_00003", "CUST_00002", "unknown_customer"}},
	} {
		got := make([]string, len(c.subjects))
		for i, subject := range c.subjects {
			got[i] = who(&c.customers, subject)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: customers of %q (-want +got):\n%s", name, c.subjects, diff)
		}
	}
}

func TestReadMap(t *testing.T) {
	t.Parallel()
	want := map[string]heartbeat.CustomerID{"p-7": 7, "urn:uuid:1, x": 8}
	for _, text := range []string{"p-7,CUST_00007\n\"urn:uuid:1, x\", CUST_00008\n", "\ufeffpatient,customer\r\np-7,CUST_00007\r\n\"urn:uuid:1, x\",CUST_00008"} {
		if got, err := ReadMap(strings.NewReader(text)); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%q reads as %v, %v, want %v", text, got, err, want)
		}
	}
	for text, message := range map[string]string{
		"": "no line", "a,b\n": "no line", "a,CUST_00001\nb,CUST_1\n": "line 2", "a,CUST_00001,c\n": "wrong number of fields",
		"a,CUST_00001\na,CUST_00002\n": `"a" is CUST_00001 and CUST_00002`,
	} {
		if got, err := ReadMap(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q reads as %v, %v, want %q", text, got, err, message)
		}
	}
}
