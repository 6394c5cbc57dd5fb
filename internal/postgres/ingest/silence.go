package ingest

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
	"heartbeat/internal/silence"
)

// The statements set absolute values, so a batch may be sent again after an unknown commit.
const (
	putSilencesSQL = `
INSERT INTO silences AS held (customer_id, since, kafka_topic, kafka_partition, kafka_offset)
SELECT customer_id, since, $1::text, $2::integer, kafka_offset
  FROM unnest($3::text[], $4::timestamptz[], $5::bigint[]) AS batch (customer_id, since, kafka_offset)
    ON CONFLICT (customer_id) DO UPDATE
   SET since           = EXCLUDED.since,
       kafka_topic     = EXCLUDED.kafka_topic,
       kafka_partition = EXCLUDED.kafka_partition,
       kafka_offset    = EXCLUDED.kafka_offset`

	// A reading from any log and partition ends the silence, so $1 and $2 restrict nothing.
	endSilencesSQL = `
DELETE FROM silences
 WHERE customer_id = ANY ($3::text[]) AND $1::text IS NOT NULL AND $2::integer IS NOT NULL`
)

// encodeSilences appends silent customers, which come in the order of their ids.
func encodeSilences(_ *encodedBatch, columns [][]byte, batch *pipeline.Batch) {
	for i := range batch.Silent {
		silent := &batch.Silent[i]
		columns[0] = appendCustomer(columns[0], silent.Customer)
		columns[1] = pgwire.AppendTime(columns[1], silent.Since.UTC())
		columns[2] = pgwire.AppendInt64(columns[2], silent.Offset)
	}
}

func encodeHeardAgain(_ *encodedBatch, columns [][]byte, batch *pipeline.Batch) {
	slices.SortFunc(batch.HeardAgain, cmp.Compare)
	for _, customer := range batch.HeardAgain {
		columns[0] = appendCustomer(columns[0], customer)
	}
}

const silenceIsRaised = `EXISTS (SELECT 1 FROM alarms WHERE subject = customer_id AND condition = 'silent' AND closed_at IS NULL AND active)`

const partitionStatesSQL = `
SELECT customer_id, state, kafka_offset, silence.since IS NOT NULL, false
  FROM detector_states
  LEFT JOIN (SELECT customer_id, since FROM silences) AS silence USING (customer_id)
 WHERE kafka_topic = @log AND kafka_partition = @partition AND customer_id > @after
   AND NOT ` + silenceIsRaised + `
 ORDER BY customer_id
 LIMIT @limit`

// PartitionStates implements pipeline.SilenceStore.
func (s *Store) PartitionStates(ctx context.Context, claim pipeline.Claim, after heartbeat.CustomerID, limit int) (states []pipeline.DetectorState, err error) {
	name := "" // before all names
	if after != 0 {
		name = after.String()
	}
	err = s.session(ctx, "read customers of a partition", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, partitionStatesSQL, pgx.StrictNamedArgs{"log": claim.Log, "partition": claim.Number, "after": name, "limit": limit})
		if err != nil {
			return err
		}
		states, err = pgx.CollectRows(rows, scanDetectorState)
		return err
	})
	return states, err
}

const overdueSQL = `
SELECT given.customer_id,
       coalesce((state.kafka_topic, state.kafka_partition) <> (@log, @partition), false),
       EXISTS (SELECT 1 FROM alarms WHERE subject = given.customer_id AND closed_at IS NULL AND condition <> 'silent'),
       EXISTS (SELECT 1 FROM alarms WHERE subject = given.customer_id AND condition = 'silent' AND cleared_at > now() - @reopen::interval)
  FROM unnest(@customers::text[]) AS given (customer_id)
  LEFT JOIN detector_states AS state ON state.customer_id = given.customer_id`

// Overdue implements pipeline.SilenceStore.
func (s *Store) Overdue(ctx context.Context, claim pipeline.Claim, customers []heartbeat.CustomerID) (overdue []pipeline.OverdueCustomer, err error) {
	err = s.session(ctx, "read customers not heard for long", func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, overdueSQL, pgx.StrictNamedArgs{
			"log": claim.Log, "partition": claim.Number, "customers": names(customers), "reopen": alarm.ReopenWithin})
		if err != nil {
			return err
		}
		overdue, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (o pipeline.OverdueCustomer, err error) {
			var customer string
			if err := row.Scan(&customer, &o.Elsewhere, &o.Alarmed, &o.Recent); err != nil {
				return o, err
			}
			o.Customer, err = heartbeat.ParseCustomerID(customer)
			return o, err
		})
		return err
	})
	return overdue, err
}

// A report counts for three minutes, because a partition reports at least once a minute. The flag behind counts until the partition
// resets it, or until the topic is created again. The row that the statement updates is left out of others, which does not see the
// update.
const reportSQL = `
WITH mine AS (
    UPDATE ingest_progress
       SET customers_heard   = @heard,
           customers_watched = @watched,
           customers_turned  = @turned,
           customers_silent  = @silent,
           behind            = @behind,
           reported_at       = now()
     WHERE kafka_topic = @log AND partition = @partition AND fence = @fence
    RETURNING 1),
others AS (
    SELECT DISTINCT ON (partition) *, coalesce(reported_at > now() - interval '3 minutes', false) AS recent
      FROM ingest_progress
     WHERE topic_name = @topic AND partition <> @partition
       AND topic_id = (SELECT topic_id FROM ingest_progress WHERE kafka_topic = @log AND partition = @partition)
     ORDER BY partition, incarnation DESC)
SELECT (SELECT count(*) FROM mine) = 1,
       @heard::bigint + coalesce(sum(customers_heard) FILTER (WHERE recent), 0),
       @watched::bigint + coalesce(sum(customers_watched) FILTER (WHERE recent), 0),
       @turned::bigint + coalesce(sum(customers_turned) FILTER (WHERE recent), 0),
       @silent::bigint + coalesce(sum(customers_silent) FILTER (WHERE recent), 0),
       @behind OR coalesce(bool_or(behind), false),
       NOT coalesce(bool_and(recent), true)
  FROM others`

const fleetAlarmsSQL = `
SELECT condition, bool_or(active), coalesce(bool_or(cleared_at > now() - $2::interval), false)
  FROM alarms
 WHERE subject = $1 AND condition IN ('outage', 'lag')
 GROUP BY condition`

// Report implements pipeline.SilenceStore.
func (s *Store) Report(ctx context.Context, claim pipeline.Claim, report silence.Report) (fleet silence.Fleet, err error) {
	err = s.session(ctx, "report silence", func(ctx context.Context, conn *pgx.Conn) error {
		var mine bool
		err := conn.QueryRow(ctx, reportSQL, pgx.StrictNamedArgs{
			"topic": claim.Topic, "log": claim.Log, "partition": claim.Number, "fence": claim.Fence,
			"heard": report.Heard, "watched": report.Watched, "turned": report.Turned, "silent": report.Silent, "behind": report.Behind,
		}).Scan(&mine, &fleet.Heard, &fleet.Watched, &fleet.Turned, &fleet.Silent, &fleet.Behind, &fleet.Unknown)
		if err != nil {
			return err
		}
		if !mine {
			return &pipeline.Fault{Kind: pipeline.Fenced, Err: errors.New("another consumer has claimed the partition")}
		}
		rows, err := conn.Query(ctx, fleetAlarmsSQL, claim.Topic, alarm.ReopenWithin)
		if err != nil {
			return err
		}
		var condition alarm.Condition
		var state silence.AlarmState
		_, err = pgx.ForEachRow(rows, []any{&condition, &state.Active, &state.Recent}, func() error {
			if condition == alarm.Outage {
				fleet.Outage = state
			} else {
				fleet.Lag = state
			}
			return nil
		})
		return err
	})
	return fleet, err
}
