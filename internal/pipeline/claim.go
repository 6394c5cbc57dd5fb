package pipeline

import (
	"context"
	"fmt"

	"heartbeat/internal/repeat"
)

// LogBounds is what the broker retains of a partition: the offsets [Start, End).
type LogBounds struct {
	Start, End int64
}

// Claim takes the partition over from its last owner: from now on only this worker can write it. A partition that was
// never claimed starts at the first offset that the broker retains. Claim returns the leader epoch of the last stored
// record, -1 when unknown; Reconcile must follow.
func (w *Worker) Claim(ctx context.Context, start int64) (epoch int32, err error) {
	claim, err := w.store.Claim(ctx, w.partition, start)
	if err != nil {
		return -1, fmt.Errorf("claim partition: %w", err)
	}
	replaced := claim.Replaced != nil
	if replaced {
		w.logIncident(*claim.Replaced)
		claim.Replaced = nil
	}
	return claim.Epoch, w.restore(claim, replaced)
}

// restore starts from what is stored under a claim. Incomplete says that Kafka no longer has all that the stored states lack.
func (w *Worker) restore(claim Claim, incomplete bool) error {
	w.claim = claim
	w.window, w.windowLoaded = repeat.Window{}, false
	w.customers.restore(claim)
	if w.detection == nil {
		return nil
	}
	return w.detection.restore(claim, incomplete)
}

// Reconcile compares the stored position with what the broker retained after the claim, records as an incident what
// Kafka lost since the last write, and returns the offset to fetch from.
func (w *Worker) Reconcile(ctx context.Context, log LogBounds) (from int64, err error) {
	if incident, lost := lossSince(w.claim.Next, log); lost {
		claim, err := w.store.Record(ctx, w.claim, incident)
		if err != nil {
			return 0, fmt.Errorf("record incident: %w", err)
		}
		w.logIncident(incident)
		if err := w.restore(claim, true); err != nil {
			return 0, err
		}
	} else if w.customers.replayFrom(w.claim) < log.Start {
		if err := w.restore(w.claim, true); err != nil {
			return 0, err
		}
	}
	// Where Kafka has dropped everything below, no record comes that would say so.
	w.customers.replayed = w.customers.replayed || log.Start >= w.claim.Next
	w.meter.claimed(w.partition, w.claim)
	w.logger.Info("partition claimed", "log", w.claim.Log, "fence", w.claim.Fence, "next_offset", w.claim.Next)
	return max(w.customers.replayFrom(w.claim), log.Start), nil
}

func (w *Worker) logIncident(incident Incident) {
	w.logger.Error("data incident", "kind", incident.Kind, "from", incident.From, "to", incident.To, "detail", incident.Detail)
	w.meter.incident(w.partition, incident)
}

// lossSince returns what Kafka lost around the next offset to read, if anything.
func lossSince(next int64, log LogBounds) (Incident, bool) {
	switch {
	case next > log.End:
		to := max(log.End, log.Start)
		return Incident{Kind: LogTruncated, From: next, To: to, Detail: fmt.Sprintf(
			"the broker lost records that were stored already: offsets %d to %d will be written again", to, next-1)}, true
	case next < log.Start:
		return Incident{Kind: RetentionPassed, From: next, To: log.Start, Detail: fmt.Sprintf(
			"Kafka's retention deleted %d records before they were read: offsets %d to %d", log.Start-next, next, log.Start-1)}, true
	}
	return Incident{}, false
}
