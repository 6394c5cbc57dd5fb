package pipeline

import (
	"context"
	"fmt"
)

// Claim takes the partition over from whoever had it and returns the offset to fetch from. Whatever Kafka lost since
// the last write is recorded as an incident first. It waits out any outage and fails only with the context's error, or
// with kind Fenced when the topic is no longer the one it was made for.
func (w *Worker) Claim(ctx context.Context) (from int64, err error) {
	for attempt := 0; ; attempt++ {
		start, err := w.reconcile(ctx)
		if KindOf(err) == Fenced {
			return 0, err
		}
		if err == nil {
			w.whole = w.claim.StateFrom >= w.claim.Next
			w.meter.claimed(w.partition, w.claim)
			w.logger.Info("partition claimed", "log", w.claim.Log, "fence", w.claim.Fence, "next_offset", w.claim.Next)
			return max(min(w.claim.StateFrom, w.claim.Next), start), nil
		}
		if err := w.hold(ctx, attempt, err); err != nil {
			return 0, err
		}
	}
}

// reconcile raises the fence and holds the stored position against what the broker has. It returns the first offset
// that the broker retains.
func (w *Worker) reconcile(ctx context.Context) (start int64, err error) {
	start, _, err = w.log.Bounds(ctx, w.partition)
	if err != nil {
		return 0, fmt.Errorf("read bounds of partition: %w", err)
	}
	claim, err := w.store.Claim(ctx, w.partition, start)
	if err != nil {
		return 0, fmt.Errorf("claim partition: %w", err)
	}
	if claim.Replaced != nil {
		w.announce(*claim.Replaced)
		claim.Replaced = nil
	}
	w.claim = claim
	w.behind = newCustomers()
	// Only now does nobody else move the position: bounds read before could lie behind it.
	start, end, err := w.log.Bounds(ctx, w.partition)
	if err != nil {
		return 0, fmt.Errorf("read bounds of partition: %w", err)
	}
	if claim.Epoch >= 0 {
		epochEnd, err := w.log.EpochEnd(ctx, w.partition, claim.Epoch)
		if err != nil {
			return 0, fmt.Errorf("read end of leader epoch: %w", err)
		}
		if epochEnd >= 0 {
			end = min(end, epochEnd)
		}
	}
	incident, lost := lossSince(claim.Next, start, end)
	if !lost {
		return start, nil
	}
	w.claim, err = w.store.Record(ctx, claim, incident)
	if err != nil {
		return 0, fmt.Errorf("record incident: %w", err)
	}
	w.announce(incident)
	return start, nil
}

// announce tells people of an incident that is on record.
func (w *Worker) announce(incident Incident) {
	w.logger.Error("data incident", "kind", incident.Kind, "from", incident.From, "to", incident.To, "detail", incident.Detail)
	w.meter.incident(w.partition, incident)
}

// lossSince tells what Kafka lost around the next offset to read, if anything: end is where the log that was read
// from ends.
func lossSince(next, start, end int64) (Incident, bool) {
	switch {
	case next > end:
		to := max(end, start)
		return Incident{Kind: LogTruncated, From: next, To: to, Detail: fmt.Sprintf(
			"the broker lost records that were stored already: offsets %d to %d will be written anew", to, next-1)}, true
	case next < start:
		return Incident{Kind: RetentionPassed, From: next, To: start, Detail: fmt.Sprintf(
			"Kafka's retention deleted %d records before they were read: offsets %d to %d", start-next, next, start-1)}, true
	}
	return Incident{}, false
}
