package pipeline

import (
	"context"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/repeat"
)

// Partition names one partition of one topic. The id tells a topic from an earlier one of the same name.
type Partition struct {
	Topic   string
	TopicID [16]byte
	Number  int32
}

// Claim is the right to write one partition, valid until another owner raises the fence.
type Claim struct {
	Partition
	// Log is what rows carry as kafka_topic. It is the topic's name, until a topic is recreated or its log truncated
	// and offsets come a second time: such a later log has a number appended, so (log, partition, offset) stays unique.
	Log       string
	Fence     int64
	Next      int64 // the first offset that is not stored yet
	Epoch     int32 // leader epoch of the record before Next, -1 when unknown
	StateFrom int64 // the first offset that the stored customer states do not cover yet, at most Next
	// Idle is for how long nothing had been stored before the claim, by the database's clock.
	Idle time.Duration
	// Replaced is the incident that this very claim has left, nil where it has left none: it is the caller's to announce.
	Replaced *Incident
}

// Store is where batches end. Every method is one transaction. An error is classed by KindOf.
type Store interface {
	// Claim raises the fence of the partition and returns where to go on. A partition never seen before starts at start,
	// the first offset that Kafka retains. A topic that replaces another one of the same name gets a log of its own
	// and leaves an incident of kind TopicReplaced.
	Claim(ctx context.Context, partition Partition, start int64) (Claim, error)
	// Position returns the stored next offset, or an error of kind Fenced when the claim is no longer good.
	Position(ctx context.Context, claim Claim) (next int64, err error)
	// Write stores the batch and moves the claim's progress from batch.From to batch.To. Without effect it fails with
	// kind Stale when the stored progress is not the claim's fence at batch.From.
	Write(ctx context.Context, claim Claim, batch *Batch) error
	// RepeatWindow returns the ids of the claim's log that records are compared with, in the order in which they entered.
	RepeatWindow(ctx context.Context, claim Claim) ([]repeat.Entry, error)
	// Repeated returns those of the offsets [from, to) of the claim's log that were dropped as repeats.
	Repeated(ctx context.Context, claim Claim, from, to int64) (map[int64]bool, error)
	// Record stores an incident and moves the claim past it: behind the lost offsets, or onto a new log that starts
	// at incident.To when the old one was truncated. It returns the claim to go on with.
	Record(ctx context.Context, claim Claim, incident Incident) (Claim, error)
}

// Batch is what one transaction stores: everything between two offsets of one partition.
type Batch struct {
	From, To    int64     // every offset in [From, To) is a reading, a dead letter or skipped
	Epoch       int32     // leader epoch of the last record
	Oldest      time.Time // the earliest Kafka timestamp among its records, zero where none has one
	Readings    []Reading
	DeadLetters []heartbeat.DeadLetter
	Skipped     int64 // control records, records of aborted transactions, and repeats
	Repeats     Repeats
	Customers   []CustomerState
	States      [][]byte // the detector's states of Customers before this batch; empty without detection
	Transitions []alarm.Transition
	Silent      []SilentCustomer       // customers found silent
	HeardAgain  []heartbeat.CustomerID // customers who were silent until a reading of this batch
	StateFrom   int64                  // the claim's StateFrom once this batch is stored
	Snapshot    *Stats                 // a statistics snapshot to store along, or nil
}

// Repeats is what a batch does to the window of ids by which a record is known to repeat an earlier one.
type Repeats struct {
	Entered []repeat.Entry
	Dropped []int64 // offsets of the records that repeat one of the window
	Held    int     // ids in the window once this batch is stored: the last ones that entered
}

// Reading is a valid reading in its place.
type Reading struct {
	heartbeat.Reading
	Offset int64
	Kafka  detect.Time       // the record's Kafka timestamp; 0: it has none
	Raw    []byte            // the original JSON text
	Device *heartbeat.Device // nil: the reading says nothing of its device
}

// CustomerState is the latest reading of a customer by the time used; of two at one time the later offset.
type CustomerState struct {
	heartbeat.Reading
	Offset int64
	Kafka  detect.Time       // the record's Kafka timestamp; 0: it has none
	Device *heartbeat.Device // what the customer's readings said of their device since the last stored state; nil: nothing
}

// TimeUsed is the time by which a reading is newer than another: the earlier of its own time and its Kafka timestamp. A
// device whose clock is ahead then does not hide its next readings.
func (s *CustomerState) TimeUsed() detect.Time { return timeUsed(&s.Reading, s.Kafka) }

func timeUsed(reading *heartbeat.Reading, kafka detect.Time) detect.Time {
	used := detect.TimeOf(reading.Time)
	if kafka > 0 {
		used = min(used, kafka)
	}
	return used
}

// SilentCustomer is a customer who is silent.
type SilentCustomer struct {
	Customer heartbeat.CustomerID
	Since    detect.Time // the arrival of the latest reading
	Offset   int64       // of the latest reading
}

// IncidentKind is the stable code of a loss that could not be prevented.
type IncidentKind string

// The kinds of data incidents.
const (
	RetentionPassed IncidentKind = "retention_passed" // Kafka dropped records before they were read
	LogTruncated    IncidentKind = "log_truncated"    // the broker lost records that had been read
	TopicReplaced   IncidentKind = "topic_replaced"   // the topic was deleted and created again under its name
)

// Incident is a loss on one partition. For RetentionPassed the offsets [From, To) were never read; for LogTruncated
// the broker no longer has what was read from [To, From), and writes those offsets again.
type Incident struct {
	Kind     IncidentKind
	From, To int64
	Detail   string
}
