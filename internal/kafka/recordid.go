package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/heartbeat"
)

// RecordID returns the id in a record's first header of that name, nil for a record without one. It aliases the record's memory.
func RecordID(record *kgo.Record) *heartbeat.RecordID {
	for i := range record.Headers {
		header := &record.Headers[i]
		if header.Key != heartbeat.RecordIDHeader {
			continue
		}
		if len(header.Value) != len(heartbeat.RecordID{}) || record.Attrs.IsControl() {
			return nil
		}
		return (*heartbeat.RecordID)(header.Value)
	}
	return nil
}
