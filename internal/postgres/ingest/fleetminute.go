package ingest

import (
	"cmp"
	"slices"
	"time"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres/pgwire"
)

const addMinuteSQL = `
INSERT INTO fleet_minute AS held
       (minute, kafka_topic, kafka_partition, valid_count, bpm_sum, bpm_min, bpm_max,
        bradycardia_count, tachycardia_count, invalid_count)
VALUES ($3, $1, $2, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (minute, kafka_topic, kafka_partition) DO UPDATE
   SET valid_count       = held.valid_count + EXCLUDED.valid_count,
       bpm_sum           = held.bpm_sum + EXCLUDED.bpm_sum,
       bpm_min           = least(held.bpm_min, EXCLUDED.bpm_min),
       bpm_max           = greatest(held.bpm_max, EXCLUDED.bpm_max),
       bradycardia_count = held.bradycardia_count + EXCLUDED.bradycardia_count,
       tachycardia_count = held.tachycardia_count + EXCLUDED.tachycardia_count,
       invalid_count     = held.invalid_count + EXCLUDED.invalid_count`

// fleetMinute sums up the readings of one minute of event time.
type fleetMinute struct {
	at       int64 // Unix minutes
	valid    int64
	sum      int64
	min, max heartbeat.BPM
	classes  [heartbeat.Invalid + 1]int64 // Normal stays 0
}

func (m *fleetMinute) add(class heartbeat.Class, bpm heartbeat.BPM) {
	if class.Anomaly() {
		m.classes[class]++
		return
	}
	if m.valid == 0 {
		m.min, m.max = bpm, bpm
	}
	m.min, m.max = min(m.min, bpm), max(m.max, bpm)
	m.sum += int64(bpm)
	m.valid++
}

// fleetMinutes are the minutes of one batch: usually one or two, in an import up to one for each reading.
type fleetMinutes struct {
	rows  []fleetMinute
	index map[int64]int
}

func (m *fleetMinutes) reset() {
	m.rows = m.rows[:0]
	clear(m.index)
}

func (m *fleetMinutes) add(reading *heartbeat.Reading) {
	at := floorMinute(reading.Time)
	if last := len(m.rows) - 1; last >= 0 && m.rows[last].at == at {
		m.rows[last].add(reading.Class, reading.BPM)
		return
	}
	i, known := m.index[at]
	if !known {
		i = len(m.rows)
		m.rows = append(m.rows, fleetMinute{at: at})
		m.index[at] = i
	}
	m.rows[i].add(reading.Class, reading.BPM)
}

func floorMinute(t time.Time) int64 {
	seconds := t.Unix()
	minute := seconds / 60
	if seconds%60 < 0 {
		minute--
	}
	return minute
}

// sort orders the minutes, so that two transactions that update the same ones cannot deadlock.
func (m *fleetMinutes) sort() {
	slices.SortFunc(m.rows, func(a, b fleetMinute) int { return cmp.Compare(a.at, b.at) })
}

// parameters returns the parameters of addMinuteSQL from $3 on.
func (m *fleetMinute) parameters() [][]byte {
	parameters := [][]byte{pgwire.Int8(m.at*60_000_000 - pgwire.Epoch), pgwire.Int8(m.valid), pgwire.Int8(m.sum), nil, nil}
	if m.valid > 0 {
		parameters[3], parameters[4] = pgwire.Int4(int32(m.min)), pgwire.Int4(int32(m.max))
	}
	for _, class := range heartbeat.AnomalyClasses {
		parameters = append(parameters, pgwire.Int8(m.classes[class]))
	}
	return parameters
}
