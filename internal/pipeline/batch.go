package pipeline

import (
	"slices"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

// build turns consecutive records into the batch that stores them, from the claim's next offset to after the last
// record. It leaves out records below the claim's next offset, which are stored already. Its readings reuse scratch. The
// window takes the ids provisionally; without a window no record is dropped.
func build(decoder *heartbeat.Decoder, window *repeat.Window, claim Claim, records []heartbeat.Record, scratch []Reading) *Batch {
	batch := &Batch{From: claim.Next, To: claim.Next, Epoch: claim.Epoch, StateFrom: claim.StateFrom}
	batch.Readings = slices.Grow(scratch[:0], len(records))
	for i := range records {
		record := &records[i]
		if record.Offset < batch.To {
			continue
		}
		// Offsets that Kafka does not deliver belong to aborted transactions.
		batch.Skipped += record.Offset - batch.To
		batch.To = record.Offset + 1
		batch.Epoch = record.LeaderEpoch
		if !record.Timestamp.IsZero() && (batch.Oldest.IsZero() || record.Timestamp.Before(batch.Oldest)) {
			batch.Oldest = record.Timestamp
		}
		if record.ID != nil && window != nil && batch.repeats(window, record) {
			continue
		}
		batch.add(decoder, record)
	}
	return batch
}

func (b *Batch) add(decoder *heartbeat.Decoder, record *heartbeat.Record) {
	if record.Control {
		b.Skipped++
		return
	}
	reading, rejection := decoder.Decode(*record)
	if rejection != nil {
		b.DeadLetters = append(b.DeadLetters, heartbeat.NewDeadLetter(*record, rejection))
		return
	}
	b.Readings = append(b.Readings, Reading{Reading: reading, Offset: record.Offset, Kafka: kafkaTime(record), Raw: record.Value, Device: decoder.Device()})
}

// repeats drops a record that repeats an earlier one. What became of that one makes no difference: as a dead letter it can still be
// replayed, and the window then depends on the log alone.
func (b *Batch) repeats(window *repeat.Window, record *heartbeat.Record) bool {
	entry := repeat.EntryOf(record)
	if window.Take(entry) {
		b.Repeats.Dropped = append(b.Repeats.Dropped, record.Offset)
		b.Skipped++
		return true
	}
	b.Repeats.Entered = append(b.Repeats.Entered, entry)
	b.Repeats.Held = window.Held()
	return false
}

// kafkaTime returns the Kafka timestamp of a record, 0 where it has none.
func kafkaTime(record *heartbeat.Record) detect.Time {
	if record.Timestamp.IsZero() {
		return 0
	}
	return max(detect.TimeOf(record.Timestamp), 0)
}

// reject turns the batch of a single record that the database refuses into the batch of its dead letter.
func reject(refused *Batch, record heartbeat.Record, cause error) *Batch {
	rejection := heartbeat.Reject(heartbeat.RejectedByDatabase, cause.Error())
	if len(refused.Readings) == 1 {
		rejection.Customer = refused.Readings[0].Customer.String()
	}
	return &Batch{
		From: refused.From, To: refused.To, Epoch: refused.Epoch, StateFrom: refused.StateFrom,
		Skipped:     refused.Skipped,
		Repeats:     refused.Repeats,
		DeadLetters: []heartbeat.DeadLetter{heartbeat.NewDeadLetter(record, rejection)},
	}
}
