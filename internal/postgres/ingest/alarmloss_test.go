package ingest_test

import (
	"time"

	"pgregory.net/rapid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

// repartition moves customers to the other partition, as a change of the number of partitions does. The owners have stored what they
// know and begin again, as when the group rebalances.
func (m *alarmModel) repartition() {
	for _, worker := range m.system.worker {
		m.must(worker.Flush(m.Context()))
	}
	for _, customer := range m.customers {
		m.home[customer] = rapid.IntRange(0, 1).Draw(m.T, "new partition")
	}
	for p := range m.system.worker {
		m.must(m.system.claim(m.Context(), p))
	}
	m.count("changes of partitions", 1)
}

// lose lets retention drop a part of a partition's log that no state contains yet, and perhaps readings that are not stored,
// before another worker claims the partition. All its customers then report and are stored again: a state that is not loaded
// under this claim would lose the doubt about it.
func (m *alarmModel) lose() {
	p := rapid.IntRange(0, 1).Draw(m.T, "partition")
	if rapid.Bool().Draw(m.T, "unread") {
		m.send(p)
	}
	next, stateFrom := m.progress(p)
	start := rapid.Int64Range(min(max(stateFrom, m.system.kept[p]), next), int64(len(m.system.logs[p]))).Draw(m.T, "start")
	m.system.kept[p] = start
	m.must(m.system.claim(m.Context(), p))
	if start > stateFrom { // else the log has all that the states lack
		m.must(m.reference.lose(m.remains(p, start, stateFrom, next)))
	}
	m.evaluateFrom(p, max(start, next))
	if rapid.Bool().Draw(m.T, "flushed without a batch") {
		m.must(m.system.worker[p].Flush(m.Context()))
	}
	end := len(m.system.logs[p])
	var stretches []stretch
	for _, customer := range m.own(p) {
		shape := rapid.SampledFrom([]string{"normal", "high", "low", "easing", "stuck"}).Draw(m.T, "shape")
		stretches = append(stretches, stretch{customer, shape, rapid.IntRange(1, 12).Draw(m.T, "count")})
	}
	m.sendAtOnce(p, stretches, 5*time.Second, "")
	m.evaluateFrom(p, int64(end))
	m.must(m.system.worker[p].Flush(m.Context()))
	m.count("losses", 1)
}

// evaluateFrom lets the worker and the reference take what a partition's log has from an offset on.
func (m *alarmModel) evaluateFrom(p int, from int64) {
	records := m.system.logs[p][from:]
	transitions, err := m.reference.evaluate(int32(p), records, m.system.refused[p])
	m.must(err)
	m.reference.apply(int32(p), transitions)
	m.must(m.system.process(m.Context(), p, 1000))
	m.count("readings", len(records))
}

// progress returns a partition's next offset and the first one that the stored states lack.
func (m *alarmModel) progress(p int) (next, stateFrom int64) {
	m.must(m.system.pool.QueryRow(m.Context(), `SELECT next_offset, state_from FROM ingest_progress WHERE kafka_topic = $1 AND partition = $2`,
		m.system.topic.Topic, p).Scan(&next, &stateFrom))
	return next, stateFrom
}

// remains is what is left of a partition's states after a loss.
type remains struct {
	partition int32
	customers []heartbeat.CustomerID
	states    []pipeline.DetectorState
	records   []heartbeat.Record // that are stored already, and still in the log
	refused   map[int64]bool
}

func (m *alarmModel) remains(p int, start, stateFrom, next int64) remains {
	claim := pipeline.Claim{Partition: m.system.topic, Log: m.system.topic.Topic}
	claim.Number = int32(p)
	left := remains{partition: claim.Number, customers: m.own(p), refused: m.system.refused[p]}
	var err error
	left.states, err = m.system.store.DetectorStates(m.Context(), claim, left.customers)
	m.must(err)
	if from := max(start, stateFrom); from < next {
		left.records = m.system.logs[p][from:next]
	}
	return left
}

// lose makes the states of customers what is left of them: the stored ones, moved on by what the log still has, with the
// conditions that the alarms have.
func (r *reference) lose(left remains) error {
	asOf := map[heartbeat.CustomerID]int64{}
	for _, customer := range left.customers {
		r.states[customer] = new(detect.State)
	}
	for _, stored := range left.states {
		if err := r.states[stored.Customer].UnmarshalBinary(stored.Encoded); err != nil {
			return err
		}
		asOf[stored.Customer] = stored.AsOf
	}
	for _, record := range left.records {
		var decoder heartbeat.Decoder
		reading, rejection := decoder.Decode(record)
		if rejection == nil && record.Offset >= asOf[reading.Customer] {
			if _, err := r.evaluate(left.partition, []heartbeat.Record{record}, left.refused); err != nil {
				return err
			}
		}
	}
	for _, customer := range left.customers {
		for _, condition := range detect.Conditions {
			r.align(customer, condition)
		}
	}
	return nil
}

// align makes a condition of a customer's state what the alarms have.
func (r *reference) align(customer heartbeat.CustomerID, condition detect.Condition) {
	var want detect.Episode
	for _, h := range r.alarms {
		if h.Subject != customer.String() || h.Condition != alarm.Condition(condition.String()) {
			continue
		}
		switch {
		case h.Active:
			want = detect.Episode{Active: true, Priority: detect.Low, Peak: heartbeat.BPM(h.Peak)}
			if h.CurrentPriority == alarm.High {
				want.Priority = detect.High
			}
		case !want.Active && detect.TimeOf(h.ClearedAt) > want.Cleared:
			want = detect.Episode{Cleared: detect.TimeOf(h.ClearedAt)}
		}
	}
	have, _ := r.states[customer].Episode(condition)
	if have.Active != want.Active || want.Active && have.Priority != want.Priority || have.Cleared < want.Cleared {
		r.states[customer].SetEpisode(condition, want)
	}
}
