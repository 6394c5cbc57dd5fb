package heartbeat

import (
	"fmt"
	"strings"
	"testing"
)

func TestDecoderNamesTheReason(t *testing.T) {
	t.Parallel()
	blanks := strings.Repeat(" ", 700<<10)
	for name, test := range map[string]struct {
		value    string
		reason   Reason
		customer string
	}{
		"no bytes": {"", Empty, ""},

		"a byte too many":     {good + strings.Repeat(" ", MaxValueBytes-len(good)+1), TooLarge, ""},
		"2 MB":                {strings.Repeat("\xff", 2<<20), TooLarge, ""},
		"2 MB of good events": {strings.Repeat(good, 2<<20/len(good)+1), TooLarge, ""},

		"not UTF-8 in a string":        {with("customer_id", "\"CUST_\xff\""), BadUTF8, ""},
		"not UTF-8 in a name":          {extra("note", "1")[:1] + "\"\xc3\x28\":1," + good[1:], BadUTF8, ""},
		"not UTF-8 in an extra string": {extra("note", "\"\xc3\x28\""), BadUTF8, "CUST_00042"},
		"an overlong NUL":              {extra("note", "\"\xc0\x80\""), BadUTF8, "CUST_00042"},
		"a surrogate in UTF-8":         {extra("note", "\"\xed\xa0\x80\""), BadUTF8, "CUST_00042"},
		"not UTF-8 after the object":   {good + "\xff", BadUTF8, "CUST_00042"},
		"not UTF-8 and not JSON":       {"\xff\xfe{", BadUTF8, ""},
		"a character cut short":        {`{"a":"` + "\xf0\x9f\x98", BadUTF8, ""},
		"UTF-16":                       {"\xff\xfe{\x00}\x00", BadUTF8, ""},
		"Latin-1":                      {extra("name", "\"Zo\xeb\""), BadUTF8, "CUST_00042"},
		"gzip":                         {"\x1f\x8b\x08\x00", BadUTF8, ""},

		"a lone high surrogate":            {extra("note", `"\ud800"`), BadUTF8, "CUST_00042"},
		"a lone low surrogate":             {extra("note", `"\udc00"`), BadUTF8, "CUST_00042"},
		"surrogates the wrong way round":   {extra("note", `"\udc00\ud800"`), BadUTF8, "CUST_00042"},
		"a high surrogate and a character": {extra("note", `"\uD83Dx"`), BadUTF8, "CUST_00042"},
		"a high surrogate and an escape":   {extra("note", `"\ud83d\n"`), BadUTF8, "CUST_00042"},
		"two high surrogates":              {extra("note", `"\ud83d\ud83d\ude00"`), BadUTF8, "CUST_00042"},
		"a lone surrogate in a name":       {`{"\udead":1}`, BadUTF8, ""},
		"a lone surrogate in the id":       {with("customer_id", `"CUST_0004\ud800"`), BadUTF8, ""},
		"a lone surrogate deep inside":     {extra("deep", nested("[", `"\ud800"`, "]", 1_000)), BadUTF8, "CUST_00042"},
		"a lone surrogate alone":           {`"\ud800"`, BadUTF8, ""},
		"a lone surrogate in an array":     {`["\ud800"]`, BadUTF8, ""},
		"a lone surrogate and duplicates":  {`{"a":1,"a":"\ud800"}`, BadUTF8, ""},
		"a lone surrogate, then not JSON":  {`{"a":"\ud800",]`, BadUTF8, ""},
		"a lone surrogate, then garbage":   {extra("note", `"\ud800"`) + "x", BadUTF8, "CUST_00042"},

		"not JSON, then a lone surrogate": {`{]"\ud800"`, NotJSON, ""},
		"a lone surrogate cut short":      {`{"a":"\ud800`, NotJSON, ""},
		"a replacement character":         {"{\"a\":\"\ufffd\",]", NotJSON, ""},
		"one blank":                       {" ", NotJSON, ""},
		"700 KB of blanks":                {blanks, NotJSON, ""},
		"a byte order mark":               {"\ufeff" + good, NotJSON, ""},
		"a byte order mark alone":         {"\ufeff", NotJSON, ""},
		"a raw NUL":                       {"\x00", NotJSON, ""},
		"a raw NUL before":                {"\x00" + good, NotJSON, ""},
		"a raw NUL after":                 {good + "\x00", NotJSON, "CUST_00042"},
		"a raw NUL in the id":             {with("customer_id", "\"CUST_00042\x00\""), NotJSON, ""},
		"a raw newline in a string":       {with("timestamp", "\"2026-02-20\n10:00:00Z\""), NotJSON, "CUST_00042"},
		"NaN":                             {with("heart_rate", "NaN"), NotJSON, "CUST_00042"},
		"Infinity":                        {with("heart_rate", "Infinity"), NotJSON, "CUST_00042"},
		"-Infinity":                       {with("heart_rate", "-Infinity"), NotJSON, "CUST_00042"},
		"True":                            {with("heart_rate", "True"), NotJSON, "CUST_00042"},
		"a leading plus":                  {with("heart_rate", "+75"), NotJSON, "CUST_00042"},
		"a leading zero":                  {with("heart_rate", "075"), NotJSON, "CUST_00042"},
		"a leading point":                 {with("heart_rate", ".5"), NotJSON, "CUST_00042"},
		"a trailing point":                {with("heart_rate", "75."), NotJSON, "CUST_00042"},
		"a hexadecimal rate":              {with("heart_rate", "0x4b"), NotJSON, "CUST_00042"},
		"a digit separator":               {with("heart_rate", "1_0"), NotJSON, "CUST_00042"},
		"single quotes":                   {strings.ReplaceAll(good, `"`, `'`), NotJSON, ""},
		"bare names":                      {`{customer_id:"CUST_00042"}`, NotJSON, ""},
		"a number for a name":             {`{1:2}`, NotJSON, ""},
		"null for a name":                 {`{null:2}`, NotJSON, ""},
		"an array for a name":             {`{[]:2}`, NotJSON, ""},
		"a trailing comma":                {good[:len(good)-1] + ",}", NotJSON, "CUST_00042"},
		"a leading comma":                 {"{," + good[1:], NotJSON, ""},
		"no comma":                        {`{"a":1 "b":2}`, NotJSON, ""},
		"no colon":                        {`{"a" 1}`, NotJSON, ""},
		"no value":                        {`{"a":}`, NotJSON, ""},
		"a comment":                       {"/* */" + good, NotJSON, ""},
		"a bad escape":                    {extra("note", `"\x41"`), NotJSON, "CUST_00042"},
		"a bad code point":                {extra("note", `"\u12G4"`), NotJSON, "CUST_00042"},
		"an open brace":                   {"{", NotJSON, ""},
		"a closing brace":                 {"}", NotJSON, ""},
		"mismatched brackets":             {`{"a":[1}]`, NotJSON, ""},
		"cut short in the last string":    {good[:len(good)-2], NotJSON, "CUST_00042"},
		"cut short before the brace":      {good[:len(good)-1], NotJSON, "CUST_00042"},
		"cut short in a literal":          {`{"a":tru`, NotJSON, ""},
		"an array cut short":              {"[1,2", NotJSON, ""},
		"two objects":                     {good + good, NotJSON, "CUST_00042"},
		"two objects on two lines":        {good + "\n" + good, NotJSON, "CUST_00042"},
		"two objects and a comma":         {good + "," + good, NotJSON, "CUST_00042"},
		"two numbers":                     {"1 2", NotJSON, ""},
		"trailing garbage":                {good + "garbage", NotJSON, "CUST_00042"},
		"a trailing brace":                {good + "}", NotJSON, "CUST_00042"},
		"plain text":                      {"hello", NotJSON, ""},
		"XML":                             {"<reading/>", NotJSON, ""},
		"arrays 200,000 deep":             {nested("[", "", "]", 200_000), NotJSON, ""},
		"objects 150,000 deep":            {nested(`{"a":`, "1", "}", 150_000), NotJSON, ""},
		"arrays deeper than allowed":      {extra("deep", nested("[", "", "]", 10_000)), NotJSON, "CUST_00042"},
		"objects deeper than allowed":     {extra("deep", nested(`{"a":`, "1", "}", 10_000)), NotJSON, "CUST_00042"},
		"duplicates, then not JSON":       {`{"a":1,"a":2`, NotJSON, ""},

		"an empty array":             {"[]", NotObject, ""},
		"an array of an event":       {"[" + good + "]", NotObject, ""},
		"an array of two duplicates": {`[{"a":1,"a":2}]`, NotObject, ""},
		"an array as deep as can be": {nested("[", "", "]", 10_000), NotObject, ""},
		"a number":                   {"75", NotObject, ""},
		"a huge number":              {"1e999", NotObject, ""},
		"a string":                   {`"CUST_00042"`, NotObject, ""},
		"an event in a string":       {`"{\"customer_id\":\"CUST_00042\"}"`, NotObject, ""},
		"null":                       {"null", NotObject, ""},
		"true":                       {"true", NotObject, ""},
		"false":                      {" false\n", NotObject, ""},

		"the rate twice":               {good[:len(good)-1] + `,"heart_rate":75}`, DuplicateField, "CUST_00042"},
		"the customer twice":           {good[:len(good)-1] + `,"customer_id":"CUST_00001"}`, DuplicateField, ""},
		"the customer twice, escaped":  {good[:len(good)-1] + `,"\u0063ustomer_id":"CUST_00042"}`, DuplicateField, ""},
		"an extra field twice":         {good[:len(good)-1] + `,"a":1,"b":2,"a":null}`, DuplicateField, "CUST_00042"},
		"two empty names":              {`{"":1,"":2}`, DuplicateField, ""},
		"duplicates deep inside":       {extra("deep", nested("[", `{"a":1,"a":2}`, "]", 1_000)), DuplicateField, "CUST_00042"},
		"escaped duplicates inside":    {extra("deep", `{"a\/b":1,"\u0061/b":2}`), DuplicateField, "CUST_00042"},
		"duplicates before the fields": {`{"deep":{"a":1,"a":2},` + good[1:], DuplicateField, ""},
		"duplicates and no fields":     {`{"a":1,"a":2}`, DuplicateField, ""},
		"duplicates and wrong types":   {`{"customer_id":1,"a":1,"a":2}`, DuplicateField, ""},
		"duplicates of a long name":    {`{"` + zeros(1000) + `":1,"` + zeros(1000) + `":1}`, DuplicateField, ""},
		"duplicates named NUL":         {`{"\u0000":1,"\u0000":2}`, DuplicateField, ""},

		"no fields":               {"{}", MissingField, ""},
		"no customer":             {`{"heart_rate":75,"timestamp":"2026-02-20T10:00:00Z"}`, MissingField, ""},
		"no rate":                 {`{"customer_id":"CUST_00042","timestamp":"2026-02-20T10:00:00Z"}`, MissingField, "CUST_00042"},
		"no timestamp":            {`{"customer_id":"CUST_00042","heart_rate":75}`, MissingField, "CUST_00042"},
		"a null customer":         {with("customer_id", "null"), MissingField, ""},
		"a null rate":             {with("heart_rate", "null"), MissingField, "CUST_00042"},
		"a null timestamp":        {with("timestamp", "null"), MissingField, "CUST_00042"},
		"another case":            {strings.Replace(good, "customer_id", "Customer_Id", 1), MissingField, ""},
		"a name with a blank":     {strings.Replace(good, "heart_rate", "heart_rate ", 1), MissingField, "CUST_00042"},
		"fields one level down":   {`{"reading":` + good + `}`, MissingField, ""},
		"missing and mistyped":    {`{"customer_id":"CUST_00042","heart_rate":"75"}`, MissingField, "CUST_00042"},
		"missing and a bad id":    {`{"customer_id":"42","heart_rate":75}`, MissingField, ""},
		"a null and a wrong type": {`{"customer_id":null,"heart_rate":true,"timestamp":1}`, MissingField, ""},

		"a string for the rate":           {with("heart_rate", `"75"`), WrongType, "CUST_00042"},
		"an empty string for the rate":    {with("heart_rate", `""`), WrongType, "CUST_00042"},
		"NaN in a string":                 {with("heart_rate", `"NaN"`), WrongType, "CUST_00042"},
		"true for the rate":               {with("heart_rate", `true`), WrongType, "CUST_00042"},
		"false for the rate":              {with("heart_rate", `false`), WrongType, "CUST_00042"},
		"an array for the rate":           {with("heart_rate", `[75]`), WrongType, "CUST_00042"},
		"an object for the rate":          {with("heart_rate", `{}`), WrongType, "CUST_00042"},
		"a number for the customer":       {with("customer_id", `42`), WrongType, ""},
		"an array for the customer":       {with("customer_id", `["CUST_00042"]`), WrongType, ""},
		"a boolean for the customer":      {with("customer_id", `true`), WrongType, ""},
		"a number for the timestamp":      {with("timestamp", `1771581600`), WrongType, "CUST_00042"},
		"an object for the timestamp":     {with("timestamp", `{"$date":"2026-02-20T10:00:00Z"}`), WrongType, "CUST_00042"},
		"a wrong type and a bad id":       {`{"customer_id":"42","heart_rate":"75","timestamp":""}`, WrongType, ""},
		"a wrong type and a bad time":     {`{"customer_id":"CUST_00042","heart_rate":"75","timestamp":""}`, WrongType, "CUST_00042"},
		"all of the wrong type":           {`{"customer_id":1,"heart_rate":"2","timestamp":3}`, WrongType, ""},
		"a bad id and a bad time":         {`{"customer_id":"","heart_rate":75,"timestamp":""}`, BadCustomerID, ""},
		"an id with an escaped NUL":       {with("customer_id", `"CUST_00042\u0000"`), BadCustomerID, ""},
		"an id with an escaped newline":   {with("customer_id", `"CUST_00042\n"`), BadCustomerID, ""},
		"an id of 500 KB":                 {with("customer_id", `"`+zeros(500<<10)+`"`), BadCustomerID, ""},
		"a timestamp with an escaped NUL": {with("timestamp", `"2026-02-20T10:00:00Z\u0000"`), BadTimestamp, "CUST_00042"},

		"year 1":                {with("timestamp", `"0001-01-01T00:00:00Z"`), TimestampRange, "CUST_00042"},
		"year 0":                {with("timestamp", `"0000-01-01T00:00:00Z"`), TimestampRange, "CUST_00042"},
		"1970":                  {with("timestamp", `"1970-01-01T00:00:00Z"`), TimestampRange, "CUST_00042"},
		"the end of 1999":       {with("timestamp", `"1999-12-31T23:59:59.999999Z"`), TimestampRange, "CUST_00042"},
		"1999 by its offset":    {with("timestamp", `"2000-01-01T00:30:00+01:00"`), TimestampRange, "CUST_00042"},
		"year 9999":             {with("timestamp", `"9999-12-31T23:59:59Z"`), TimestampRange, "CUST_00042"},
		"year 10000 in the end": {with("timestamp", `"9999-12-31T23:59:59-23:59"`), TimestampRange, "CUST_00042"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRejected(t, []byte(test.value), test.reason, test.customer)
		})
	}
	for _, id := range illFormedIDs {
		checkRejected(t, []byte(with("customer_id", quote(id))), BadCustomerID, "")
	}
	for _, at := range badTimestamps {
		checkRejected(t, []byte(with("timestamp", quote(at))), BadTimestamp, "CUST_00042")
	}
	checkRejected(t, nil, Empty, "")
}

// checkRejected wants the value rejected, and a good one accepted by the same decoder afterwards.
func checkRejected(t *testing.T, value []byte, reason Reason, customer string) {
	t.Helper()
	var decoder Decoder
	_, rejection := decoder.Decode(Record{Value: value, Timestamp: kafka})
	if rejection == nil {
		t.Fatalf("%.100q is accepted, want %s", value, reason)
	}
	if rejection.Reason != reason || rejection.Customer != customer {
		t.Errorf("%.100q is rejected with %v of customer %q, want %s of customer %q",
			value, rejection, rejection.Customer, reason, customer)
	}
	checkDetail(t, rejection.Detail)
	if _, rejection := decoder.Decode(Record{Value: []byte(good), Timestamp: kafka}); rejection != nil {
		t.Errorf("a good event after %.100q is rejected with %v", value, rejection)
	}
}

// quote returns the text as a JSON string with every character escaped that is not printable ASCII.
func quote(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < ' ' || r == '"' || r == '\\' || r > '~' {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
