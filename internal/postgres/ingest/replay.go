package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
	"heartbeat/internal/readmodel"
)

// Replayer decodes dead letters again and stores those that are valid now, under their original offset. It may be shared.
type Replayer struct {
	store  *Store
	decode func(heartbeat.Record) (heartbeat.Reading, *heartbeat.Rejection)
}

// NewReplayer returns a Replayer that decodes records with decode.
func NewReplayer(store *Store, decode func(heartbeat.Record) (heartbeat.Reading, *heartbeat.Rejection)) *Replayer {
	return &Replayer{store: store, decode: decode}
}

// The outcomes of a replay.
const (
	ReplayStored   = "stored"
	ReplayAlready  = "already_replayed"
	ReplayRejected = "rejected"
)

// letter is a dead letter with what a replay needs of it.
type letter struct {
	log        string
	partition  int32
	record     heartbeat.Record
	length     int64
	replayedAt *time.Time
}

// Replay decodes one dead letter again. A valid reading is stored with its alert and rollups in the transaction that marks the letter
// as replayed, so a second replay changes nothing. It fails with readmodel.ErrNotFound for an unknown id.
func (r *Replayer) Replay(ctx context.Context, id int64) (readmodel.Replay, error) {
	outcome := readmodel.Replay{ID: id}
	doing := fmt.Sprintf("replay dead letter %d", id)
	err := r.store.transact(ctx, doing, func(ctx context.Context, conn *pgx.Conn) error {
		letter, err := lockLetter(ctx, conn, id)
		if err != nil {
			return err
		}
		if letter.replayedAt != nil {
			outcome.Outcome, outcome.Detail = ReplayAlready, "was stored at "+letter.replayedAt.UTC().Format(time.RFC3339)
			return nil
		}
		if kept := int64(len(letter.record.Value)); letter.length > kept {
			outcome.Outcome = ReplayRejected
			outcome.Detail = fmt.Sprintf("only the first %d of its %d bytes were kept", kept, letter.length)
			return nil
		}
		reading, rejection := r.decode(letter.record)
		if rejection != nil {
			outcome.Outcome, outcome.Detail = ReplayRejected, rejection.Error()
			return nil
		}
		outcome.Outcome, outcome.Detail = ReplayStored, fmt.Sprintf("%s %d bpm, %s", reading.Customer, reading.BPM, reading.Class)
		return r.put(ctx, conn, id, letter, reading)
	})
	return outcome, err
}

func lockLetter(ctx context.Context, conn *pgx.Conn, id int64) (letter, error) {
	var l letter
	var kafkaTime *time.Time
	err := conn.QueryRow(ctx, `
SELECT kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, raw_key, raw_value, raw_length, replayed_at
  FROM dead_letters
 WHERE dead_letter_id = $1
   FOR UPDATE`, id).
		Scan(&l.log, &l.partition, &l.record.Offset, &kafkaTime, &l.record.Key, &l.record.Value, &l.length, &l.replayedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, readmodel.ErrNotFound
	}
	if kafkaTime != nil {
		l.record.Timestamp = *kafkaTime
	}
	return l, err
}

// put stores the reading as the batch of its offset would have, and moves one offset in the progress from dead letters to readings.
func (r *Replayer) put(ctx context.Context, conn *pgx.Conn, id int64, l letter, reading heartbeat.Reading) error {
	offset := l.record.Offset
	encoded := newEncodedBatch()
	kafkaTime := detect.Time(0)
	if !l.record.Timestamp.IsZero() {
		kafkaTime = max(detect.TimeOf(l.record.Timestamp), 0)
	}
	encoded.encode(l.log, l.partition, &pipeline.Batch{
		From: offset, To: offset + 1,
		Readings:  []pipeline.Reading{{Reading: reading, Offset: offset, Raw: l.record.Value}},
		Customers: []pipeline.CustomerState{{Reading: reading, Offset: offset, Kafka: kafkaTime}},
	})
	counts, err := conn.Exec(ctx, `
UPDATE ingest_progress
   SET stored = stored + $3, anomalies = anomalies + $4, dead_lettered = dead_lettered - 1
 WHERE kafka_topic = $1 AND partition = $2`, l.log, l.partition, len(encoded.normal), len(encoded.abnormal))
	if err != nil {
		return fmt.Errorf("move counts: %w", err)
	}
	if counts.RowsAffected() != 1 {
		return fmt.Errorf("move counts: there is no progress of %s/%d", l.log, l.partition)
	}
	p := pgwire.NewPipeline(conn)
	encoded.addCopies(ctx, p)
	encoded.addRollups(ctx, p)
	if err := p.Run(ctx); err != nil {
		return fmt.Errorf("store reading: %w", err)
	}
	_, err = conn.Exec(ctx, `UPDATE dead_letters SET replayed_at = now() WHERE dead_letter_id = $1`, id)
	return err
}
