package heartbeat

import (
	"fmt"
	"strconv"
)

// CustomerID is the number in a customer's id. Its text is CUST_ and the number, zero-padded to five digits; larger
// numbers use six to nine digits without padding, so every number has one spelling and every spelling one number.
type CustomerID uint32

// MaxCustomerID is the largest number an id can carry.
const MaxCustomerID CustomerID = 999_999_999

const (
	customerPrefix = "CUST_"
	customerForm   = "CUST_ and 5 digits, or 6 to 9 digits without a leading zero"
)

// ParseCustomerID reads the text of an id, which must match ^CUST_([0-9]{5}|[1-9][0-9]{5,8})$.
func ParseCustomerID[T ~string | ~[]byte](text T) (CustomerID, error) {
	id, ok := parseCustomerID(text)
	if !ok {
		return 0, fmt.Errorf("parse customer id %s: want %s", excerpt(text), customerForm)
	}
	return id, nil
}

func parseCustomerID[T ~string | ~[]byte](text T) (CustomerID, bool) {
	digits := len(text) - len(customerPrefix)
	if digits < 5 || digits > 9 || string(text[:len(customerPrefix)]) != customerPrefix {
		return 0, false
	}
	if digits > 5 && text[len(customerPrefix)] == '0' {
		return 0, false
	}
	var n uint32
	for i := len(customerPrefix); i < len(text); i++ {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint32(c-'0')
	}
	return CustomerID(n), true
}

// AppendTo appends the text of the id to b.
func (id CustomerID) AppendTo(b []byte) []byte {
	b = append(b, customerPrefix...)
	for limit := CustomerID(10_000); id < limit && limit > 1; limit /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, uint64(id), 10)
}

// String returns the text of the id, such as CUST_00042.
func (id CustomerID) String() string {
	return string(id.AppendTo(make([]byte, 0, 14)))
}
