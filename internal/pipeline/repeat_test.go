package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/heartbeat"

	"pgregory.net/rapid"
)

// identified returns a record with an id; 0 is none. Whatever it carries, records with one id are one reading.
func identified(offset int64, id byte, at time.Time, value []byte) heartbeat.Record {
	record := heartbeat.Record{Offset: offset, Timestamp: at, Value: value}
	if id > 0 {
		record.ID = &heartbeat.RecordID{id}
	}
	return record
}

// drawLog draws records that repeat one another, some of them not readable.
func drawLog(t *rapid.T) []heartbeat.Record {
	at := epoch
	var records []heartbeat.Record
	offset := int64(0)
	for range rapid.IntRange(1, 80).Draw(t, "records") {
		at = at.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "minutes")) * time.Minute)
		value := []byte("{")
		if rapid.IntRange(0, 9).Draw(t, "readable") > 0 {
			customer := heartbeat.CustomerID(rapid.IntRange(1, 4).Draw(t, "customer"))
			value = heartbeat.Event{Customer: customer, Rate: 75, Time: at}.AppendJSON(nil)
		}
		records = append(records, identified(offset, rapid.ByteRange(0, 20).Draw(t, "id"), at, value))
		offset += rapid.Int64Range(1, 2).Draw(t, "gap")
	}
	return records
}

// repeatsOf says which records must be dropped, in the plainest way: those whose id had a record less than an hour before that was
// itself not dropped.
func repeatsOf(records []heartbeat.Record) map[int64]bool {
	latest, repeats := map[heartbeat.RecordID]time.Time{}, map[int64]bool{}
	for _, r := range records {
		if r.ID == nil {
			continue
		}
		if at, seen := latest[*r.ID]; seen && r.Timestamp.Sub(at) < time.Hour {
			repeats[r.Offset] = true
			continue
		}
		latest[*r.ID] = r.Timestamp
	}
	return repeats
}

// A repeat is dropped whatever the store does: outages, commits without an answer, refused records, and consumers that die before or
// after a commit and leave the partition to the next one.
func TestRepeatsAreDroppedAcrossFaultsAndOwners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			records := drawLog(t)
			end := records[len(records)-1].Offset + 1
			refused := rapid.Int64Range(-end, end).Draw(t, "refused")
			store := newMemory()
			var died bool
			store.fault = func(b *Batch) (bool, error) {
				for _, r := range b.Readings {
					if r.Offset == refused {
						return false, &Fault{BadData, errors.New("value out of range")}
					}
				}
				fault := rapid.IntRange(0, 9).Draw(t, "fault")
				switch fault {
				case 0:
					return false, &Fault{Transient, errors.New("connection refused")}
				case 1, 2:
					return fault == 1, &Fault{OutcomeUnknown, errors.New("connection reset")}
				case 3, 4:
					died = true
					return fault == 3, &Fault{Fenced, errors.New("the process is dead")}
				}
				return true, nil
			}
			var w *Worker
			var from int64
			claim := func() {
				w, died = newTestWorker(store, nil), false
				from = mustClaim(t, w, LogBounds{End: end})
			}
			for claim(); store.next < end; {
				var batch []heartbeat.Record
				size := rapid.IntRange(1, 20).Draw(t, "size")
				for _, r := range records {
					if r.Offset >= from && len(batch) < size {
						batch = append(batch, r)
					}
				}
				if err := w.Process(context.Background(), batch); err != nil && !died {
					t.Fatal(err)
				}
				from = batch[len(batch)-1].Offset + 1
				if died || rapid.IntRange(0, 5).Draw(t, "moves") == 0 {
					claim()
				}
			}
			want := repeatsOf(records)
			for _, r := range records {
				if got := store.stored[r.Offset] == "repeated"; got != want[r.Offset] {
					t.Fatalf("offset %d is stored as %q; it is a repeat: %t", r.Offset, store.stored[r.Offset], want[r.Offset])
				}
			}
		})
	})
}

// A customer's state is that of the reading that is stored, not of its repeat, before and after another consumer takes over.
func TestRepeatsChangeNoCustomerState(t *testing.T) {
	t.Parallel()
	store := newMemory()
	value := heartbeat.Event{Customer: 1, Rate: 75, Time: epoch}.AppendJSON(nil)
	records := []heartbeat.Record{identified(0, 1, epoch, value), identified(1, 1, epoch.Add(time.Minute), value), record(2, 2, 75)}
	first := newTestWorker(store, nil)
	mustClaim(t, first, LogBounds{End: 3})
	mustProcess(t, first, records)
	next := newTestWorker(store, nil)
	if from := mustClaim(t, next, LogBounds{End: 3}); from != 0 {
		t.Fatalf("the next owner reads from offset %d, want 0: no state is stored", from)
	}
	mustProcess(t, next, records)
	if err := next.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := store.customers[1].Offset; got != 0 {
		t.Errorf("the customer's state is that of offset %d, want 0", got)
	}
}
