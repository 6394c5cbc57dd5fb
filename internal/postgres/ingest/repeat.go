package ingest

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
	"heartbeat/internal/repeat"
)

const copyRepeatWindowSQL = `
COPY repeat_windows (kafka_topic, kafka_partition, last_offset, id_count, held, ids)
FROM STDIN (FORMAT binary)`

// entryBytes is the size of an id with its time.
const entryBytes = len(heartbeat.RecordID{}) + 8

func encodeRepeatWindow(e *encodedBatch, b []byte, batch *pipeline.Batch) []byte {
	entered := batch.Repeats.Entered
	if len(entered) == 0 {
		return b
	}
	b = pgwire.AppendColumns(b, 6)
	b = pgwire.AppendBytes(b, e.log)
	b = pgwire.AppendInt32(b, e.partition)
	b = pgwire.AppendInt64(b, batch.To-1)
	b = pgwire.AppendInt32(b, int32(len(entered)))
	b = pgwire.AppendInt32(b, int32(batch.Repeats.Held))
	b = binary.BigEndian.AppendUint32(b, uint32(entryBytes*len(entered)))
	for i := range entered {
		b = append(b, entered[i].ID[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(entered[i].Time))
	}
	return b
}

const copyRepeatedSQL = `
COPY repeated_records (kafka_topic, kafka_partition, kafka_offset)
FROM STDIN (FORMAT binary)`

func encodeRepeated(e *encodedBatch, b []byte, batch *pipeline.Batch) []byte {
	for _, offset := range batch.Repeats.Dropped {
		b = pgwire.AppendColumns(b, 3)
		b = pgwire.AppendBytes(b, e.log)
		b = pgwire.AppendInt32(b, e.partition)
		b = pgwire.AppendInt64(b, offset)
	}
	return b
}

// RepeatWindow implements pipeline.Store. The latest row says how many ids the window holds; they are the last ones of all rows.
func (s *Store) RepeatWindow(ctx context.Context, claim pipeline.Claim) (entries []repeat.Entry, err error) {
	doing := fmt.Sprintf("read the window of ids of %s/%d", claim.Log, claim.Number)
	err = s.session(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		entries = nil
		rows, err := conn.Query(ctx, `
SELECT held, ids
  FROM (SELECT last_offset, ids, first_value(held) OVER newest AS held, sum(id_count) OVER newest - id_count AS newer
          FROM repeat_windows
         WHERE kafka_topic = @log AND kafka_partition = @partition
        WINDOW newest AS (ORDER BY last_offset DESC)) AS numbered
 WHERE newer < held
 ORDER BY last_offset`, pgx.StrictNamedArgs{"log": claim.Log, "partition": claim.Number})
		if err != nil {
			return err
		}
		var held int
		var ids []byte
		_, err = pgx.ForEachRow(rows, []any{&held, &ids}, func() error {
			entries = appendEntries(entries, ids)
			return nil
		})
		entries = entries[max(len(entries)-held, 0):]
		return err
	})
	return entries, err
}

func appendEntries(entries []repeat.Entry, ids []byte) []repeat.Entry {
	for ; len(ids) >= entryBytes; ids = ids[entryBytes:] {
		entries = append(entries, repeat.Entry{
			ID: heartbeat.RecordID(ids[:entryBytes-8]), Time: int64(binary.BigEndian.Uint64(ids[entryBytes-8:])),
		})
	}
	return entries
}

// Repeated implements pipeline.Store.
func (s *Store) Repeated(ctx context.Context, claim pipeline.Claim, from, to int64) (map[int64]bool, error) {
	return s.offsets(ctx, claim, "repeated_records", from, to)
}

// offsets returns those of the offsets [from, to) of the claim's log that a table has.
func (s *Store) offsets(ctx context.Context, claim pipeline.Claim, table string, from, to int64) (offsets map[int64]bool, err error) {
	offsets = map[int64]bool{}
	err = s.session(ctx, "read offsets of "+table, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
SELECT kafka_offset
  FROM `+table+`
 WHERE kafka_topic = @log AND kafka_partition = @partition AND kafka_offset >= @from AND kafka_offset < @to`,
			pgx.StrictNamedArgs{"log": claim.Log, "partition": claim.Number, "from": from, "to": to})
		if err != nil {
			return err
		}
		var offset int64
		_, err = pgx.ForEachRow(rows, []any{&offset}, func() error { offsets[offset] = true; return nil })
		return err
	})
	return offsets, err
}
