package pipeline

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/silence"
)

// State is what a partition's worker is doing.
type State string

// The states of a partition.
const (
	Running  State = "running"
	Retrying State = "retrying" // an outage: the same batch again and again
	Stopped  State = "stopped"  // a person must repair the cause
)

// Status is the state of one claimed partition.
type Status struct {
	State State
	Since time.Time
	Cause string // of the state, empty when running
	Next  int64  // the first offset that is not stored
}

// Meter counts and reports what the workers of a process have committed: statistics, alerts, metrics and the state of
// each partition. All of its methods may be called at the same time.
type Meter struct {
	logger    *slog.Logger
	announcer *announcer
	alarms    *alarmLog
	metrics   *metrics

	mu         sync.Mutex // guards all below
	stats      Stats
	snapshots  snapshots
	partitions map[int32]Status
	fetches    map[int32]failedFetch
	fleet      map[alarm.Condition]bool // the alarms of the fleet that partitions of this process have raised
}

// failedFetch is the last error of the broker for a partition.
type failedFetch struct {
	at    time.Time
	cause error
}

// fetchErrorAge is how long an error explains why nothing comes: the client fetches several times a second.
const fetchErrorAge = 15 * time.Second

// NewMeter returns a meter that logs to logger and registers its metrics with registry.
func NewMeter(logger *slog.Logger, registry prometheus.Registerer) *Meter {
	return &Meter{
		logger:     logger,
		announcer:  newAnnouncer(logger),
		alarms:     newAlarmLog(logger),
		metrics:    newMetrics(registry),
		snapshots:  snapshots{taken: time.Now()},
		partitions: map[int32]Status{},
		fetches:    map[int32]failedFetch{},
		fleet:      map[alarm.Condition]bool{},
	}
}

// FetchFailed notes that the broker refuses the records of a partition.
func (m *Meter) FetchFailed(number int32, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetches[number] = failedFetch{time.Now(), cause}
}

// FetchError returns why the broker refuses the records of a partition at the moment, if it does.
func (m *Meter) FetchError(number int32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if failed := m.fetches[number]; time.Since(failed.at) < fetchErrorAge {
		return failed.cause
	}
	return nil
}

// Stats returns the counts so far.
func (m *Meter) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Partitions returns the status of each partition that is claimed at the moment.
func (m *Meter) Partitions() map[int32]Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.partitions)
}

// Released forgets a partition that went to another consumer.
func (m *Meter) Released(partition Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.partitions, partition.Number)
	m.metrics.released(partition)
}

// snapshot returns the counts as they will be once batch is stored, or nil when none is due.
func (m *Meter) snapshot(batch *Batch) *Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	stats := m.stats
	stats.add(batch)
	if !m.snapshots.due(stats, time.Now()) {
		return nil
	}
	return &stats
}

func (m *Meter) claimed(partition Partition, claim Claim) {
	m.set(partition, Status{State: Running, Next: claim.Next})
	m.metrics.claimed(partition, claim)
}

func (m *Meter) state(partition Partition, state State, cause error) {
	m.mu.Lock()
	status := m.partitions[partition.Number]
	m.mu.Unlock()
	if status.State != state {
		status.Since = time.Now()
	}
	status.State, status.Cause = state, cause.Error()
	m.set(partition, status)
	m.metrics.retries.WithLabelValues(string(state)).Inc()
}

// withoutRepeated drops transitions of the fleet's alarms that another partition has announced: the database stores each once.
func (m *Meter) withoutRepeated(transitions []alarm.Transition) []alarm.Transition {
	if !slices.ContainsFunc(transitions, func(t alarm.Transition) bool { return t.Condition.OfFleet() }) {
		return transitions
	}
	var told []alarm.Transition
	for _, t := range transitions {
		if t.Condition.OfFleet() {
			if m.fleet[t.Condition] == opens(&t) {
				continue
			}
			m.fleet[t.Condition] = opens(&t)
		}
		told = append(told, t)
	}
	return told
}

// resumed ends the state that a failed read has begun: no batch may follow for long.
func (m *Meter) resumed(partition Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if status := m.partitions[partition.Number]; status.State != Running {
		m.partitions[partition.Number] = Status{State: Running, Since: time.Now(), Next: status.Next}
	}
}

func (m *Meter) set(partition Partition, status Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.partitions[partition.Number] = status
}

func (m *Meter) incident(partition Partition, incident Incident) {
	m.metrics.incidents.WithLabelValues(string(incident.Kind)).Inc()
}

// watched takes the report of a partition into account, and says when silence goes off or on.
func (m *Meter) watched(partition Partition, now, before silence.Report) {
	m.metrics.watched(partition, now)
	switch off := now.Heard > 0 && now.Watched == 0; {
	case off && (before.Heard == 0 || before.Watched > 0):
		m.logger.Info("silence is off: no customer was heard often enough yet to be missed", "partition", partition.Number, "customers", now.Heard)
	case !off && now.Watched > 0 && before.Watched == 0:
		m.logger.Info("silence is on", "partition", partition.Number, "customers", now.Heard, "of_them_watched", now.Watched)
	}
}

// forgot counts ids that left a full window.
func (m *Meter) forgot(ids int64) { m.metrics.forgotten.Add(float64(ids)) }

// idle reports what is left over when no batch comes.
func (m *Meter) idle() {
	now := time.Now()
	m.announcer.announce(nil, [heartbeat.Invalid + 1]int64{}, now)
	m.alarms.announce(nil, now)
}

// committed takes a stored batch into account.
func (m *Meter) committed(partition Partition, batch *Batch) {
	now := time.Now()
	m.mu.Lock()
	before := m.stats.Alerts
	m.stats.add(batch)
	status := m.partitions[partition.Number]
	if status.State != Running {
		status = Status{State: Running, Since: now}
	}
	status.Next = batch.To
	m.partitions[partition.Number] = status
	transitions := m.withoutRepeated(batch.Transitions)
	m.mu.Unlock()

	m.metrics.committed(partition, batch, transitions, now)
	if batch.Snapshot != nil {
		m.logger.Info(batch.Snapshot.String())
	}
	m.announcer.announce(batch.Readings, before, now)
	m.alarms.announce(transitions, now)
	m.logger.Debug("batch stored", "partition", partition.Number, "from", batch.From, "to", batch.To,
		"readings", len(batch.Readings), "dead_letters", len(batch.DeadLetters))
	if len(batch.DeadLetters) > 0 {
		first := &batch.DeadLetters[0]
		m.logger.Warn("dead letters stored", "partition", partition.Number, "count", len(batch.DeadLetters),
			"first_offset", first.Offset, "reason", first.Reason, "detail", first.Detail)
	}
}
