package alarmstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// LimitDelay is how long after it was made a change of limits takes effect, by the database's clock and the readings' time. A
// consumer that polls each second knows it before the first reading that it concerns.
const LimitDelay = 5 * time.Second

const limitColumns = `
limit_id, scope, cohort, customer_id, low, high, hours_from, hours_to, hours_offset, author, reason, made_at, effective_from, ends_at,
ended_by, ended_at, end_reason`

func scanLimit(row pgx.CollectableRow) (alarm.Limit, error) {
	var l alarm.Limit
	var cohort, customer, endedBy, endReason *string
	var low, high *int32
	var hoursFrom, hoursTo int
	var ends, ended *time.Time
	err := row.Scan(&l.ID, &l.Scope, &cohort, &customer, &low, &high, &hoursFrom, &hoursTo, &l.UTCOffset, &l.Author, &l.Reason, &l.MadeAt,
		&l.EffectiveFrom, &ends, &endedBy, &ended, &endReason)
	l.Cohort, l.Customer, l.Low, l.High = value0(cohort), value0(customer), value0(low), value0(high)
	l.Hours = alarm.FormatHours(hoursFrom, hoursTo)
	l.MadeAt, l.EffectiveFrom, l.EndsAt = l.MadeAt.UTC(), l.EffectiveFrom.UTC(), utc(ends)
	l.EndedBy, l.EndedAt, l.EndReason = value0(endedBy), utc(ended), value0(endReason)
	return l, err
}

const setLimitSQL = `
INSERT INTO detection_limits (scope, cohort, customer_id, low, high, hours_from, hours_to, hours_offset, author, reason, effective_from, ends_at)
VALUES (@scope, @cohort, @customer_id, @low, @high, @hours_from, @hours_to, @hours_offset, @author, @reason,
        greatest(@effective_from::timestamptz, now() + @delay::interval), @ends_at)
RETURNING` + limitColumns

// SetLimit adds a limit and returns it as it was stored. It takes effect after LimitDelay at the earliest. Its error is an
// *alarm.Error where the limit is refused.
func (s *Store) SetLimit(ctx context.Context, limit alarm.Limit) (alarm.Limit, error) {
	if err := limit.Check(); err != nil {
		return limit, err
	}
	hours, err := alarm.ParseHours(limit.Hours, limit.UTCOffset)
	if err != nil {
		return limit, err
	}
	rows, err := s.pool.Query(ctx, setLimitSQL, pgx.StrictNamedArgs{
		"scope": limit.Scope, "cohort": null(limit.Cohort), "customer_id": null(limit.Customer), "low": null(limit.Low), "high": null(limit.High),
		"hours_from": hours.From, "hours_to": hours.To, "hours_offset": hours.Offset, "author": limit.Author, "reason": limit.Reason,
		"effective_from": nullTime(limit.EffectiveFrom), "ends_at": nullTime(limit.EndsAt), "delay": LimitDelay,
	})
	if err != nil {
		return limit, fmt.Errorf("set limit: %w", err)
	}
	stored, err := pgx.CollectExactlyOneRow(rows, scanLimit)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case refused.Code == exclusionViolation:
			return limit, &alarm.Error{Code: alarm.LimitOverlap, Detail: fmt.Sprintf(
				"the hours overlap those of limit %s without being the same: end that one first, or choose its hours", refused.Detail)}
		case refused.ConstraintName == "detection_limits_ends_after_start":
			return limit, &alarm.Error{Code: alarm.BadRequest, Detail: "the limit would end before it takes effect"}
		}
	}
	if err != nil {
		return limit, fmt.Errorf("set limit: %w", readOnly(err))
	}
	return stored, nil
}

const exclusionViolation = "23P01"

// A limit that has not begun ends as it begins, and so is never in force.
const endLimitSQL = `
UPDATE detection_limits
   SET ends_at = greatest(effective_from, now() + @delay::interval), ended_at = now(), ended_by = @author, end_reason = @reason
 WHERE limit_id = @limit_id AND ended_at IS NULL AND coalesce(ends_at, 'infinity') > greatest(effective_from, now() + @delay::interval)
RETURNING` + limitColumns

// EndLimit ends a limit by hand and returns it. It ends after LimitDelay. Its error is an *alarm.Error where that is refused.
func (s *Store) EndLimit(ctx context.Context, id int64, author, reason string) (alarm.Limit, error) {
	if err := alarm.CheckEnd(author, reason); err != nil {
		return alarm.Limit{}, err
	}
	rows, err := s.pool.Query(ctx, endLimitSQL, pgx.StrictNamedArgs{"limit_id": id, "author": author, "reason": reason, "delay": LimitDelay})
	if err != nil {
		return alarm.Limit{}, fmt.Errorf("end limit: %w", err)
	}
	ended, err := pgx.CollectExactlyOneRow(rows, scanLimit)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s.whyNotEnded(ctx, id)
	case err != nil:
		return ended, fmt.Errorf("end limit: %w", readOnly(err))
	}
	return ended, nil
}

func (s *Store) whyNotEnded(ctx context.Context, id int64) (alarm.Limit, error) {
	rows, err := s.pool.Query(ctx, `SELECT`+limitColumns+` FROM detection_limits WHERE limit_id = $1`, id)
	if err != nil {
		return alarm.Limit{}, fmt.Errorf("read limit: %w", err)
	}
	held, err := pgx.CollectExactlyOneRow(rows, scanLimit)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return held, &alarm.Error{Code: alarm.LimitNotFound, Detail: fmt.Sprintf("there is no limit %d", id)}
	case err != nil:
		return held, fmt.Errorf("read limit: %w", err)
	case held.EndedBy != "":
		return held, &alarm.Error{Code: alarm.LimitEnded, Detail: fmt.Sprintf(
			"limit %d was ended by %s at %s", id, held.EndedBy, held.EndedAt.Format(time.RFC3339))}
	}
	return held, &alarm.Error{Code: alarm.LimitEnded, Detail: fmt.Sprintf("limit %d ends by itself at %s", id, held.EndsAt.Format(time.RFC3339))}
}

// Limits returns limits, the newest first.
func (s *Store) Limits(ctx context.Context, query alarm.LimitQuery, now time.Time) ([]alarm.Limit, error) {
	rows, err := s.pool.Query(ctx, `
SELECT`+limitColumns+`
  FROM detection_limits
 WHERE (@scope = '' OR scope = @scope)
   AND (@cohort = '' OR cohort = @cohort)
   AND (@customer_id = '' OR scope = 'fleet' OR customer_id = @customer_id OR cohort = (
        SELECT member.cohort
          FROM cohort_members AS member
         WHERE member.customer_id = @customer_id AND member.effective_from <= @now
         ORDER BY member.effective_from DESC
         LIMIT 1))
   AND (@ended OR ends_at IS NULL OR (ends_at > @now AND ends_at > effective_from))
   AND (@before = 0::bigint OR limit_id < @before)
 ORDER BY limit_id DESC
 LIMIT @limit`, pgx.StrictNamedArgs{
		"scope": query.Scope, "cohort": query.Cohort, "customer_id": query.Customer, "ended": query.Ended, "now": now,
		"before": query.Before, "limit": query.Limit,
	})
	if err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	limits, err := pgx.CollectRows(rows, scanLimit)
	if err != nil {
		return nil, fmt.Errorf("list limits: %w", err)
	}
	return limits, nil
}

// SetCohort puts a customer into a cohort, or into none, after LimitDelay.
func (s *Store) SetCohort(ctx context.Context, customer heartbeat.CustomerID, cohort, author string) (alarm.Member, error) {
	member := alarm.Member{Customer: customer.String(), Cohort: cohort, Author: author}
	if err := member.Check(); err != nil {
		return member, err
	}
	err := s.pool.QueryRow(ctx, `
INSERT INTO cohort_members (customer_id, cohort, author, effective_from)
VALUES (@customer_id, @cohort, @author, now() + @delay::interval)
RETURNING effective_from`, pgx.StrictNamedArgs{
		"customer_id": member.Customer, "cohort": cohort, "author": author, "delay": LimitDelay,
	}).Scan(&member.EffectiveFrom)
	if err != nil {
		return member, fmt.Errorf("set cohort: %w", readOnly(err))
	}
	member.EffectiveFrom = member.EffectiveFrom.UTC()
	return member, nil
}

// Mark tells whether limits or cohorts have changed. Their histories only grow, so counts are enough.
type Mark struct{ limits, ended, members int64 }

// LimitMark returns the current mark.
func (s *Store) LimitMark(ctx context.Context) (Mark, error) {
	var mark Mark
	err := s.pool.QueryRow(ctx, `
SELECT count(*), count(ended_at), (SELECT count(*) FROM cohort_members) FROM detection_limits`).Scan(&mark.limits, &mark.ended, &mark.members)
	if err != nil {
		return mark, fmt.Errorf("look for changed limits: %w", err)
	}
	return mark, nil
}

// LimitHistory returns all limits and memberships there ever were, for the detector, with the mark from before reading them.
func (s *Store) LimitHistory(ctx context.Context) ([]detect.Limit, []detect.Member, Mark, error) {
	mark, err := s.LimitMark(ctx)
	if err != nil {
		return nil, nil, mark, err
	}
	rows, err := s.pool.Query(ctx, `
SELECT`+limitColumns+`
  FROM detection_limits
 WHERE ends_at IS NULL OR ends_at > effective_from
 ORDER BY limit_id`)
	if err != nil {
		return nil, nil, mark, fmt.Errorf("read limits: %w", err)
	}
	limits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (detect.Limit, error) {
		limit, err := scanLimit(row)
		if err != nil {
			return detect.Limit{}, err
		}
		return limit.Detect()
	})
	if err != nil {
		return nil, nil, mark, fmt.Errorf("read limits: %w", err)
	}
	members, err := s.members(ctx)
	return limits, members, mark, err
}

func (s *Store) members(ctx context.Context) ([]detect.Member, error) {
	rows, err := s.pool.Query(ctx, `SELECT customer_id, cohort, effective_from FROM cohort_members ORDER BY effective_from`)
	if err != nil {
		return nil, fmt.Errorf("read cohorts: %w", err)
	}
	members, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (member detect.Member, err error) {
		var customer string
		var from time.Time
		if err := row.Scan(&customer, &member.Cohort, &from); err != nil {
			return member, err
		}
		member.From = detect.TimeOf(from)
		member.Customer, err = heartbeat.ParseCustomerID(customer)
		return member, err
	})
	if err != nil {
		return nil, fmt.Errorf("read cohorts: %w", err)
	}
	return members, nil
}
