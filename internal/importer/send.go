package importer

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/postgres/importstore"
)

// sendBatch is how many readings are sent before their acknowledgement is awaited: a few batches of Kafka for each partition.
const sendBatch = 10_000

// send sends the new readings, oldest first. Each has the Kafka timestamp of its sending: Kafka keeps records by it.
func (r *run) send(ctx context.Context, session *importstore.Session, oldest time.Time, count int64) error {
	r.step("sending", count)
	batch := make([]producer.Message, 0, sendBatch)
	flush := func() error {
		// An interrupt waits for the batch under way: then the outcome of each reading is known.
		if err := r.options.Publisher.Publish(context.WithoutCancel(ctx), batch...); err != nil {
			return err
		}
		r.summary.Added += int64(len(batch))
		r.done.Add(int64(len(batch)))
		batch = make([]producer.Message, 0, sendBatch)
		return context.Cause(ctx)
	}
	err := session.New(ctx, oldest, func(c importstore.Candidate) error {
		e := event(c)
		batch = append(batch, producer.Message{Key: c.Customer.AppendTo(nil), Value: e.appendJSON(nil), Time: time.Now()})
		if len(batch) < sendBatch {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("%d of %d readings are sent; run the import again to send the rest: %w", r.summary.Added, count, err)
	}
	return nil
}
