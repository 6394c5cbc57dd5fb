package pipeline

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/silence"
)

// metrics are the Prometheus metrics of the pipeline.
type metrics struct {
	readings    *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	repeats     prometheus.Counter
	forgotten   prometheus.Counter
	retries     *prometheus.CounterVec
	incidents   *prometheus.CounterVec
	next        *prometheus.GaugeVec
	batch       prometheus.Histogram
	latency     prometheus.Histogram
	transitions *prometheus.CounterVec
	alarmDelay  prometheus.Histogram
	customers   *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		readings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_readings_total", Help: "Readings stored, by class.",
		}, []string{"class"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_dead_letters_total", Help: "Records stored as dead letters, by reason.",
		}, []string{"reason"}),
		repeats: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heartbeat_repeated_records_total", Help: "Records dropped because they repeat an earlier one with the same id.",
		}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "heartbeat_repeat_ids_forgotten_total", Help: "Ids forgotten within an hour because too many came: a repeat of theirs is stored again.",
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_store_retries_total", Help: "Attempts to store that did not succeed, by the state they put the partition in.",
		}, []string{"state"}),
		incidents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_data_incidents_total", Help: "Losses outside our power that were recorded, by kind.",
		}, []string{"kind"}),
		next: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_partition_next_offset", Help: "First offset of the partition that is not stored.",
		}, []string{"partition"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heartbeat_batch_records", Help: "Records in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14),
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heartbeat_latency_seconds", Help: "Time from a record's Kafka timestamp to its commit.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 18),
		}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heartbeat_alarm_transitions_total", Help: "Transitions of alarms stored, by condition and kind.",
		}, []string{"condition", "kind"}),
		alarmDelay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heartbeat_alarm_delay_seconds", Help: "Time from the first reading beyond the limit to the commit of the alarm.",
			Buckets: []float64{1, 5, 10, 15, 20, 25, 30, 35, 45, 60, 90, 120, 300, 600, 3600},
		}),
		customers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "heartbeat_silence_customers",
			Help: "Customers heard within the last 15 min, of them those whose silence is noticed, and those who fell silent within 15 min.",
		}, []string{"partition", "set"}),
	}
	registry.MustRegister(m.readings, m.deadLetters, m.repeats, m.forgotten, m.retries, m.incidents, m.next, m.batch, m.latency, m.transitions, m.alarmDelay, m.customers)
	return m
}

func (m *metrics) claimed(partition Partition, claim Claim) {
	m.next.WithLabelValues(label(partition)).Set(float64(claim.Next))
}

func (m *metrics) released(partition Partition) {
	m.next.DeleteLabelValues(label(partition))
	m.customers.DeletePartialMatch(prometheus.Labels{"partition": label(partition)})
}

func (m *metrics) watched(partition Partition, report silence.Report) {
	for set, count := range map[string]int{"heard": report.Heard, "watched": report.Watched, "silent": report.Silent} {
		m.customers.WithLabelValues(label(partition), set).Set(float64(count))
	}
}

func (m *metrics) committed(partition Partition, batch *Batch, transitions []alarm.Transition, now time.Time) {
	m.next.WithLabelValues(label(partition)).Set(float64(batch.To))
	m.batch.Observe(float64(batch.To - batch.From))
	var classes [heartbeat.Invalid + 1]int
	for i := range batch.Readings {
		classes[batch.Readings[i].Class]++
	}
	for class, count := range classes {
		if count > 0 {
			m.readings.WithLabelValues(heartbeat.Class(class).String()).Add(float64(count))
		}
	}
	for i := range batch.DeadLetters {
		m.deadLetters.WithLabelValues(string(batch.DeadLetters[i].Reason)).Inc()
	}
	m.repeats.Add(float64(len(batch.Repeats.Dropped)))
	if !batch.Oldest.IsZero() {
		m.latency.Observe(now.Sub(batch.Oldest).Seconds())
	}
	for i := range transitions {
		t := &transitions[i]
		m.transitions.WithLabelValues(string(t.Condition), string(t.Kind)).Inc()
		if opens(t) && t.Condition != alarm.Silent && !t.Condition.OfFleet() {
			m.alarmDelay.Observe(now.Sub(t.Since).Seconds())
		}
	}
}

func label(partition Partition) string { return strconv.Itoa(int(partition.Number)) }
