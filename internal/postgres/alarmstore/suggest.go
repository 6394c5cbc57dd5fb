package alarmstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/suggest"
)

// A median of fewer than three readings may be a single artefact.
const stretchesQuery = `
SELECT date_bin($4, event_timestamp, '2000-01-01 00:00:00Z') AS stretch, percentile_disc(0.5) WITHIN GROUP (ORDER BY heart_rate)
  FROM (
        SELECT event_timestamp, heart_rate::integer
          FROM heartbeat_records
         WHERE customer_id = $1 AND event_timestamp >= $2 AND event_timestamp < $3
         UNION ALL
        SELECT event_timestamp, heart_rate
          FROM heartbeat_anomalies
         WHERE customer_id = $1 AND event_timestamp >= $2 AND event_timestamp < $3 AND anomaly_type IN ('BRADYCARDIA', 'TACHYCARDIA')
       ) AS reading
 GROUP BY stretch
HAVING count(*) >= 3
 ORDER BY stretch`

// stretches returns the medians of a customer's readings in [from, to), of each stretch with at least three readings.
func (s *Store) stretches(ctx context.Context, customer heartbeat.CustomerID, from, to time.Time, length time.Duration) ([]suggest.Stretch, error) {
	rows, err := s.pool.Query(ctx, stretchesQuery, customer.String(), from, to, length)
	if err != nil {
		return nil, fmt.Errorf("read medians of a customer: %w", err)
	}
	stretches, err := pgx.CollectRows(rows, pgx.RowToStructByPos[suggest.Stretch])
	if err != nil {
		return nil, fmt.Errorf("read medians of a customer: %w", err)
	}
	return stretches, nil
}

// An opening lasts until the next event that clears its alarm, or until the end of what is asked for.
const rateSpansQuery = `
SELECT opened.since, coalesce(min(cleared.at), $3)
  FROM alarms AS a
  JOIN alarm_events AS opened USING (alarm_id)
  LEFT JOIN alarm_events AS cleared ON cleared.alarm_id = a.alarm_id AND cleared.kind = 'cleared' AND cleared.version > opened.version
 WHERE a.subject = $1 AND a.condition IN ('rate_high', 'rate_low') AND opened.kind IN ('raised', 'recurred', 'reopened')
 GROUP BY opened.event_id, opened.since
HAVING coalesce(min(cleared.at), $3) > $2
 ORDER BY opened.since`

// rateSpans returns when a customer's heart rate had an alarm in [from, to).
func (s *Store) rateSpans(ctx context.Context, customer heartbeat.CustomerID, from, to time.Time) ([]suggest.Span, error) {
	rows, err := s.pool.Query(ctx, rateSpansQuery, customer.String(), from, to)
	if err != nil {
		return nil, fmt.Errorf("read alarms of a customer: %w", err)
	}
	spans, err := pgx.CollectRows(rows, pgx.RowToStructByPos[suggest.Span])
	if err != nil {
		return nil, fmt.Errorf("read alarms of a customer: %w", err)
	}
	return spans, nil
}

// stretchLengths are tried in turn: a device that reports less often than every 20 s has no three readings in a minute.
var stretchLengths = [...]time.Duration{time.Minute, 15 * time.Minute}

// SuggestLimits derives limits for a customer from the time before now. utcOffset is that of the customer's midnight, in minutes.
func (s *Store) SuggestLimits(ctx context.Context, customer heartbeat.CustomerID, utcOffset int, now time.Time) (suggest.Suggested, error) {
	suggested := suggest.Suggested{Customer: customer.String(), From: now.Add(-suggest.MostDays * 24 * time.Hour), To: now}
	limits, err := NewLimitCache(s.pool, detect.DefaultLimits()).Current(ctx)
	if err != nil {
		return suggested, err
	}
	inForce := limits.At(customer, detect.TimeOf(now))
	suggested.LowInForce, suggested.HighInForce = inForce.Low, inForce.High
	alarms, err := s.rateSpans(ctx, customer, suggested.From, suggested.To)
	if err != nil {
		return suggested, err
	}
	for _, length := range stretchLengths {
		stretches, err := s.stretches(ctx, customer, suggested.From, suggested.To, length)
		if err != nil {
			return suggested, err
		}
		suggested.MinutesEach, suggested.Suggestions = int(length.Minutes()), suggest.Limits(stretches, length, alarms, utcOffset)
		if suggested.Suggestions[0].Enough {
			break
		}
	}
	return suggested, nil
}
