package ingest_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

// stretch is what one customer sends in a batch.
type stretch struct {
	customer heartbeat.CustomerID
	shape    string
	count    int
}

// shapes are how the readings of a stretch go, by the name that a failing case prints.
var shapes = map[string]func(i int) float64{
	"normal":       func(i int) float64 { return float64(76 + i%5) },
	"high":         func(i int) float64 { return float64(190 + i%4) },
	"low":          func(i int) float64 { return float64(30 + i%4) },
	"at the limit": func(i int) float64 { return []float64{180, 181, 181, 180.9}[i%4] },
	"easing":       func(i int) float64 { return float64(178 - i%5) },
	"invalid":      func(i int) float64 { return []float64{0, 400, -1}[i%3] },
	"stuck":        func(int) float64 { return 75 },
	"implausible":  func(i int) float64 { return []float64{70, 110, 190, 35}[i%4] },
	"spike":        func(i int) float64 { return []float64{77, 78, 196, 79, 80}[i%5] },
}

// send appends to a partition's log what some of its customers send at the same time.
func (m *alarmModel) send(p int) {
	own := m.own(p)
	if len(own) == 0 {
		return
	}
	var stretches []stretch
	for range rapid.IntRange(1, 3).Draw(m.T, "stretches") {
		stretches = append(stretches, stretch{
			customer: rapid.SampledFrom(own).Draw(m.T, "customer"),
			shape: rapid.SampledFrom([]string{
				"normal", "high", "high", "high", "low", "low", "normal", "normal", "at the limit", "easing", "invalid", "stuck", "implausible", "spike",
			}).Draw(m.T, "shape"),
			count: rapid.IntRange(1, 24).Draw(m.T, "count"),
		})
	}
	gap := rapid.SampledFrom([]time.Duration{5 * time.Second, time.Second, 2 * time.Second, 5 * time.Second, 20 * time.Second, 70 * time.Second, 400 * time.Second}).Draw(m.T, "gap")
	odd := rapid.SampledFrom([]string{"", "", "", "late", "ahead", "twice", "garbage", "refused", "out of order", "without a Kafka timestamp"}).Draw(m.T, "odd")
	m.sendAtOnce(p, stretches, gap, odd)
}

// own returns the customers whose readings go to a partition.
func (m *alarmModel) own(p int) (own []heartbeat.CustomerID) {
	for _, customer := range m.customers {
		if m.home[customer] == p {
			own = append(own, customer)
		}
	}
	return own
}

// sendAtOnce appends stretches whose readings come in turns.
func (m *alarmModel) sendAtOnce(p int, stretches []stretch, gap time.Duration, odd string) {
	for i := 0; ; i++ {
		sent := false
		for _, s := range stretches {
			if i < s.count {
				m.append(p, s, i, odd)
				sent = true
			}
		}
		if !sent {
			return
		}
		m.clock = m.clock.Add(gap)
	}
}

// append appends a reading. Every fifth one is odd.
func (m *alarmModel) append(p int, s stretch, i int, odd string) {
	at := m.clock.Add(time.Duration(s.customer) * time.Microsecond)
	record := heartbeat.Record{Offset: int64(len(m.system.logs[p])), Timestamp: at.Truncate(time.Millisecond)}
	if i%5 == 4 {
		switch odd {
		case "late":
			at = at.Add(-11 * time.Hour)
		case "ahead":
			at = at.Add(9 * time.Minute)
		case "out of order":
			at = at.Add(-30 * time.Second)
		case "without a Kafka timestamp":
			record.Timestamp = time.Time{}
			at = at.Add(time.Duration(i/5*2) * time.Hour)
		case "refused":
			m.system.refused[p][record.Offset] = true
		}
	}
	record.Value = fmt.Appendf(nil, `{"customer_id":"%s","heart_rate":%g,"timestamp":"%s"}`, s.customer, shapes[s.shape](i), at.Format(time.RFC3339Nano))
	if i%5 == 4 && odd == "garbage" {
		record.Value = []byte(`{"customer_id":`)
	}
	m.system.logs[p] = append(m.system.logs[p], record)
	if i%5 == 4 && odd == "twice" {
		record.Offset++
		m.system.logs[p] = append(m.system.logs[p], record)
	}
}
