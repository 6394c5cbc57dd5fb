package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"heartbeat/internal/heartbeat"
)

const addMinutes = `
INSERT INTO fleet_minute AS held
       (minute, kafka_topic, kafka_partition, valid_count, bpm_sum, bpm_min, bpm_max,
        bradycardia_count, tachycardia_count, invalid_count)
SELECT minute, $1::text, $2::integer, valid_count, bpm_sum, bpm_min, bpm_max,
       bradycardia_count, tachycardia_count, invalid_count
  FROM unnest($3::timestamptz[], $4::bigint[], $5::bigint[], $6::integer[], $7::integer[],
              $8::bigint[], $9::bigint[], $10::bigint[])
    AS batch (minute, valid_count, bpm_sum, bpm_min, bpm_max, bradycardia_count, tachycardia_count, invalid_count)
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

// fleetMinutes are the minutes of one batch: nearly always one or two, and as many as it has readings in an import.
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

// encode fills the arrays $3 to $10 of addMinutes. It sorts the minutes, so that nobody who updates several ever
// waits in a circle.
func (m *fleetMinutes) encode(columns *[8][]byte) {
	slices.SortFunc(m.rows, func(a, b fleetMinute) int { return cmp.Compare(a.at, b.at) })
	for i, element := range [...]uint32{
		pgtype.TimestamptzOID, pgtype.Int8OID, pgtype.Int8OID, pgtype.Int4OID, pgtype.Int4OID,
		pgtype.Int8OID, pgtype.Int8OID, pgtype.Int8OID,
	} {
		columns[i] = appendArray(columns[i][:0], element, len(m.rows))
	}
	for i := range m.rows {
		m.rows[i].encode(columns)
	}
}

func (m *fleetMinute) encode(columns *[8][]byte) {
	columns[0] = appendInt64(columns[0], m.at*60_000_000-epoch)
	columns[1] = appendInt64(columns[1], m.valid)
	columns[2] = appendInt64(columns[2], m.sum)
	if m.valid == 0 {
		columns[3] = appendNull(columns[3])
		columns[4] = appendNull(columns[4])
	} else {
		columns[3] = appendInt32(columns[3], int32(m.min))
		columns[4] = appendInt32(columns[4], int32(m.max))
	}
	for i, class := range heartbeat.AnomalyClasses {
		columns[5+i] = appendInt64(columns[5+i], m.classes[class])
	}
}
