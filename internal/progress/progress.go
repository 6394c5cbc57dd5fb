package progress

import "time"

// Bounds are the offsets that a partition of the broker retains: [Start, End).
type Bounds struct{ Start, End int64 }

// Lag returns how many retained offsets from next on are still to be stored.
func (b Bounds) Lag(next int64) int64 { return max(b.End-max(next, b.Start), 0) }

// Topic is what the broker says of the topic.
type Topic struct {
	Name       string
	ID         [16]byte
	Partitions map[int32]Bounds
}

// Records is how many offsets the topic retains.
func (t *Topic) Records() (n int64) {
	for _, bounds := range t.Partitions {
		n += bounds.End - bounds.Start
	}
	return n
}

// Stored is the progress row of one partition of one log. Offset accounting holds when Unaccounted is zero.
type Stored struct {
	TopicID      [16]byte   `json:"-"`
	Log          string     `json:"log"`
	Topic        string     `json:"topic"`
	Partition    int32      `json:"partition"`
	First        int64      `json:"first_offset"`
	Next         int64      `json:"next_offset"`
	Records      int64      `json:"stored"`
	Anomalies    int64      `json:"anomalies"`
	DeadLettered int64      `json:"dead_lettered"`
	Skipped      int64      `json:"skipped"`
	Lost         int64      `json:"lost"`
	Unaccounted  int64      `json:"unaccounted"` // offsets below Next that are neither stored, dead-lettered, skipped nor recorded as lost
	Owner        string     `json:"owner"`
	UpdatedAt    *time.Time `json:"updated_at"` // nil: never claimed
}

// Partition is a partition's stored progress beside the broker's bounds.
type Partition struct {
	Stored
	Current      bool       `json:"current"` // of the log in use, not of one that was replaced
	End          *int64     `json:"end_offset"`
	Lag          *int64     `json:"lag"`           // nil while it is unknown
	Rate         *float64   `json:"rate"`          // offsets per second
	StalledSince *time.Time `json:"stalled_since"` // nil: it gets on, or has nothing to do
	Reason       string     `json:"reason"`        // why it is stalled, as far as the group shows
	Waiting      bool       `json:"-"`             // records wait, and since the first observation none was seen to be stored
}

// Compare holds stored rows against the topic, which is nil while the broker does not answer. Rows must be in order of
// topic, incarnation and partition. A partition that no consumer ever claimed is listed behind them, from its first
// retained offset on.
func Compare(topic *Topic, rows []Stored) []Partition {
	newest := map[key]int{}
	for i, row := range rows {
		if topic == nil || row.Topic != topic.Name || topic.is(row.TopicID) {
			newest[keyOf(row)] = i
		}
	}
	all := make([]Partition, 0, len(rows))
	claimed := map[int32]bool{}
	for i, row := range rows {
		at, known := newest[keyOf(row)]
		p := Partition{Stored: row, Current: known && at == i}
		if topic != nil && p.Current && row.Topic == topic.Name {
			if bounds, known := topic.Partitions[row.Partition]; known {
				p.bound(bounds)
				claimed[row.Partition] = true
			}
		}
		all = append(all, p)
	}
	if topic == nil {
		return all
	}
	for _, number := range topic.numbers() {
		if !claimed[number] {
			bounds := topic.Partitions[number]
			p := Partition{Current: true, Stored: Stored{
				TopicID: topic.ID, Log: topic.Name, Topic: topic.Name, Partition: number, First: bounds.Start, Next: bounds.Start,
			}}
			p.bound(bounds)
			all = append(all, p)
		}
	}
	return all
}

// is reports whether the topic has an id. Brokers before Kafka 2.8 give none, which is stored as zero.
func (t *Topic) is(id [16]byte) bool {
	none := [16]byte{}
	return t.ID == id || t.ID == none || id == none
}

func (p *Partition) bound(bounds Bounds) {
	lag := bounds.Lag(p.Next)
	p.End, p.Lag = &bounds.End, &lag
}

// Claimed reports whether a consumer ever claimed the partition.
func (p *Partition) Claimed() bool { return p.UpdatedAt != nil }

// Behind reports whether the partition has records to store.
func (p *Partition) Behind() bool { return p.Current && p.Lag != nil && *p.Lag > 0 }

// Lag sums up the lag of all partitions. It is unknown while that of none is known.
func Lag(partitions []Partition) (total int64, known bool) {
	for _, p := range partitions {
		if p.Current && p.Lag != nil {
			total, known = total+*p.Lag, true
		}
	}
	return total, known
}

// Unaccounted sums up the offsets that nothing accounts for.
func Unaccounted(partitions []Partition) (total int64) {
	for _, p := range partitions {
		total += p.Unaccounted
	}
	return total
}
