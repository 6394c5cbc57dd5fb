// Package readmodel holds the values that the console shows of the stored readings and of the pipeline: totals,
// trends, anomalies, traces, partitions, dead letters. Its JSON names are the API's.
//
// It refuses to fetch anything: postgres and kafka fill these values, web hands them on, and none of the three knows another.
// Values are plain and may be shared once filled. They stand at the far end of the path of a reading.
package readmodel

import "time"

// Totals are the figures above the wall of customers.
type Totals struct {
	Valid           int64 `json:"valid_records"`
	Anomalies       int64 `json:"anomaly_records"`
	RecentAnomalies int64 `json:"anomalies_last_5_min"`
	ActiveCustomers int64 `json:"active_customers_last_60_min"`
	DeadLetters     int64 `json:"dead_letters"`
	PendingLetters  int64 `json:"dead_letters_pending"` // not replayed yet
	DataIncidents   int64 `json:"data_incidents"`
	DatabaseBytes   int64 `json:"database_bytes"`
}

// Bucket sums up the readings whose own time lies in one step of a trend. Rates are of the normal readings and nil
// where there is none.
type Bucket struct {
	At          time.Time `json:"at"`
	Valid       int64     `json:"valid"`
	Bradycardia int64     `json:"bradycardia"`
	Tachycardia int64     `json:"tachycardia"`
	Invalid     int64     `json:"invalid"`
	Avg         *float64  `json:"avg_bpm"`
	Min         *int32    `json:"min_bpm"`
	Max         *int32    `json:"max_bpm"`
	LatencyP50  *float64  `json:"latency_p50_ms"` // from event to commit, of a sample
	LatencyP95  *float64  `json:"latency_p95_ms"`
}

// Lag is the largest number of offsets that were on the topic and not stored in one step of a trend.
type Lag struct {
	At      time.Time `json:"at"`
	Offsets int64     `json:"lag"`
}

// Span is a stretch of time cut into steps.
type Span struct {
	From, To time.Time
	Step     time.Duration
}

// Anomaly is a stored reading outside the normal range.
type Anomaly struct {
	ID         int64     `json:"anomaly_id"`
	Customer   string    `json:"customer_id"`
	BPM        int32     `json:"heart_rate"`
	Type       string    `json:"anomaly_type"`
	EventTime  time.Time `json:"event_timestamp"`
	StoredTime time.Time `json:"ingestion_timestamp"`
	Partition  int32     `json:"kafka_partition"`
	Offset     int64     `json:"kafka_offset"`
}

// AnomalyQuery asks for the anomalies before a cursor, newest first. Zero fields do not filter.
type AnomalyQuery struct {
	Before   time.Time // with BeforeID: where the last page ended
	BeforeID int64
	Customer string
	Type     string
	Limit    int
}

// Customer is what is stored of one customer.
type Customer struct {
	ID        string    `json:"customer_id"`
	BPM       int32     `json:"heart_rate"`
	Class     string    `json:"class"`
	EventTime time.Time `json:"event_timestamp"`
	SeenTime  time.Time `json:"last_seen_at"`

	// What the customer's latest device says of itself, null where it says nothing.
	Device  *string  `json:"device_id"` // empty: a device without an id
	Battery *float64 `json:"battery"`   // 0 to 1
	Contact *bool    `json:"contact"`   // with the skin
	Steps   *int64   `json:"steps"`
}

// Sample is one stored reading of a customer.
type Sample struct {
	EventTime time.Time `json:"event_timestamp"`
	BPM       int32     `json:"heart_rate"`
	Class     string    `json:"class"`
}

// Minute sums up the normal readings of one customer in a step of time, and counts the others.
type Minute struct {
	At        time.Time `json:"at"`
	Avg       *float64  `json:"avg_bpm"`
	Min       *int32    `json:"min_bpm"`
	Max       *int32    `json:"max_bpm"`
	Count     int64     `json:"reading_count"`
	Anomalies int64     `json:"anomaly_count"`
}

// Trace asks for the readings of one customer: the newest Limit of a stretch of time.
type Trace struct {
	Customer string
	From, To time.Time
	Limit    int
}

// DeadLetter is a stored record that is not a reading, without its bytes.
type DeadLetter struct {
	ID         int64      `json:"dead_letter_id"`
	Topic      string     `json:"kafka_topic"`
	Partition  int32      `json:"kafka_partition"`
	Offset     int64      `json:"kafka_offset"`
	KafkaTime  *time.Time `json:"kafka_timestamp"`
	Reason     string     `json:"reason"`
	Detail     string     `json:"detail"`
	Customer   *string    `json:"customer_id"`
	Length     int64      `json:"raw_length"`
	RecordedAt time.Time  `json:"recorded_at"`
	ReplayedAt *time.Time `json:"replayed_at"`
}

// RawDeadLetter is a dead letter with what was kept of its bytes, in base64 on the wire.
type RawDeadLetter struct {
	DeadLetter
	Key    []byte `json:"raw_key"`
	Value  []byte `json:"raw_value"`
	SHA256 string `json:"raw_sha256"`
}

// DeadLetterQuery asks for the dead letters below an id, newest first. Zero fields do not filter.
type DeadLetterQuery struct {
	Before  int64
	Reason  string
	Pending bool // only those not replayed
	Limit   int
}

// ReasonCount is how many dead letters have a reason.
type ReasonCount struct {
	Reason  string `json:"reason"`
	Total   int64  `json:"total"`
	Pending int64  `json:"pending"`
}

// Replay is the outcome of replaying a dead letter.
type Replay struct {
	ID      int64  `json:"dead_letter_id"`
	Outcome string `json:"outcome"` // stored, already_replayed or rejected
	Detail  string `json:"detail"`
}

// Table is one partition of a table.
type Table struct {
	Parent string     `json:"table"`
	Name   string     `json:"partition"`
	From   *time.Time `json:"from"` // nil where unbounded
	To     *time.Time `json:"to"`
	Rows   int64      `json:"rows_estimate"`
	Bytes  int64      `json:"bytes"`
}

// Incident is a recorded loss outside Heartbeat's control.
type Incident struct {
	ID         int64     `json:"incident_id"`
	Kind       string    `json:"kind"`
	Log        string    `json:"log"`
	Partition  int32     `json:"partition"`
	From       int64     `json:"from_offset"`
	To         int64     `json:"to_offset"`
	Detail     string    `json:"detail"`
	RecordedAt time.Time `json:"recorded_at"`
}

// Feed is the state of following the topic for the live view.
type Feed struct {
	Following bool      // records arrive or would arrive
	Since     time.Time // when that began
	Detail    string    // why not, for a person
}

// Reading is a stored reading with the record that it came from.
type Reading struct {
	Customer  string
	BPM       int32 // the stored integer
	EventTime time.Time
	Class     string
	Topic     string // label of the log
	Partition int32
	Offset    int64
}

// Page asks for the readings of one customer from From on and before To, in order of event time, topic, partition and offset.
type Page struct {
	Customer string
	From, To time.Time
	After    *Reading // the last reading of the page before; nil for the first page
	Limit    int
}
