package importer

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
)

// Customers says whose the readings are. The zero value takes those that name a customer by id.
type Customers struct {
	One *heartbeat.CustomerID           // all are of one customer
	Map map[string]heartbeat.CustomerID // by the id in the files; customer ids need no entry

	foreign string // the one id of another system in files of one customer
}

// The reasons for leaving a reading out because of its customer.
const (
	UnknownCustomer heartbeat.Reason = "unknown_customer"
	OtherCustomer   heartbeat.Reason = "other_customer"
)

// of returns the customer of a sample.
func (c *Customers) of(sample *format.Sample) (heartbeat.CustomerID, *heartbeat.Rejection) {
	if id, mapped := c.Map[sample.Subject]; mapped {
		return id, nil
	}
	named, err := heartbeat.ParseCustomerID(sample.Subject)
	switch {
	case c.One != nil:
		return *c.One, c.checkOne(sample.Subject, named, err == nil)
	case err == nil:
		return named, nil
	case sample.Subject == "":
		return 0, heartbeat.Reject(UnknownCustomer, "no customer is named; give one with --customer")
	default:
		return 0, heartbeat.Reject(UnknownCustomer, fmt.Sprintf("%q is no customer; give a --map that has it", sample.Subject))
	}
}

// checkOne refuses a second person in files of one.
func (c *Customers) checkOne(subject string, named heartbeat.CustomerID, isCustomer bool) *heartbeat.Rejection {
	switch {
	case subject == "" || isCustomer && named == *c.One:
		return nil
	case isCustomer:
		return heartbeat.Reject(OtherCustomer, fmt.Sprintf("the reading is of %s, not of %s", named, *c.One))
	case c.foreign == "":
		c.foreign = subject
	}
	if subject != c.foreign {
		return heartbeat.Reject(OtherCustomer, fmt.Sprintf("the reading is of %q, others are of %q; give a --map that has both", subject, c.foreign))
	}
	return nil
}

// ReadMap reads lines of a foreign id and a customer id with a comma between them. A first line with other words is a header.
func ReadMap(r io.Reader) (map[string]heartbeat.CustomerID, error) {
	rows := csv.NewReader(bufio.NewReader(r))
	rows.FieldsPerRecord = 2
	customers := map[string]heartbeat.CustomerID{}
	for line := 1; ; line++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("want a foreign id, a comma and a customer id on each line: %w", err)
		}
		foreign := strings.TrimPrefix(strings.TrimSpace(row[0]), "\ufeff")
		id, err := heartbeat.ParseCustomerID(strings.TrimSpace(row[1]))
		if err != nil && line == 1 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if before, twice := customers[foreign]; twice && before != id {
			return nil, fmt.Errorf("line %d: %q is %s and %s", line, foreign, before, id)
		}
		customers[foreign] = id
	}
	if len(customers) == 0 {
		return nil, errors.New("there is no line with a foreign id and a customer id")
	}
	return customers, nil
}
