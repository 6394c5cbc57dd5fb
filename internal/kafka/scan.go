package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Scan calls visit with the offset of each record in [from, to) of the partition that carries an event: transaction
// markers and records of aborted transactions do not. The range must be retained and below the high-water mark.
func (c *Client) Scan(ctx context.Context, partition int32, from, to int64, visit func(offset int64)) error {
	client, err := c.config.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.config.Topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a range that ends with a marker ends
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for at := from; at < to; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read partition %d of topic %s from offset %d: %w", partition, c.config.Topic, at, err)
		}
		for record := range fetches.RecordsAll() {
			if record.Offset < to && !record.Attrs.IsControl() {
				visit(record.Offset)
			}
			at = record.Offset + 1
		}
	}
	return nil
}
