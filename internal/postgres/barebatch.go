package postgres

import (
	"cmp"
	"slices"

	"heartbeat/internal/pipeline"
)

// BareBatch is the rows of a batch as COPY wants them: readings, anomalies and alerts, and neither progress nor rollups.
type BareBatch struct {
	payload payload
}

// EncodeBare encodes the rows of a batch, sorted as Store.Write sorts them or in the order of arrival.
func EncodeBare(log string, partition int32, batch *pipeline.Batch, sorted bool) *BareBatch {
	p := payload{log: []byte(log), partition: partition, fleet: fleetMinutes{index: map[int64]int{}}}
	p.order(batch)
	if !sorted {
		slices.SortFunc(p.normal, byArrival)
		slices.SortFunc(p.abnormal, byArrival)
	}
	p.encodeRecords(batch.Readings)
	p.encodeAnomalies(batch.Readings)
	p.encodeMetrics(batch)
	p.normal, p.abnormal, p.states, p.room = nil, nil, nil, nil
	return &BareBatch{payload: p}
}

func byArrival(a, b uint64) int { return cmp.Compare(uint32(a), uint32(b)) }
