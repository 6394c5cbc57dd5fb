package alarmstore

import (
	"context"
	"errors"
	"fmt"

	"heartbeat/internal/alarm"
	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres/pgwire"
)

// lockFleetSQL lets one transaction at a time change the alarms of a fleet. Partitions see an outage at the same moment, and the
// statement of the second one must see the alarm of the first.
const lockFleetSQL = `SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))`

// AddTransitions adds to a batch's pipeline what applies its transitions and inserts their history: one statement, or as many
// as one subject has transitions of one condition. It adds nothing where there are none.
func AddTransitions(ctx context.Context, p *pgwire.Pipeline, log string, partition int32, transitions []alarm.Transition) error {
	for i := range transitions {
		if transitions[i].Condition.OfFleet() {
			p.Execute(ctx, "lock_fleet", lockFleetSQL, []byte("alarms of "+transitions[i].Subject))
			break
		}
	}
	for _, round := range alarm.Rounds(transitions) {
		parameters, err := applyParameters(log, partition, round)
		if err != nil {
			return err
		}
		p.Execute(ctx, ApplyStatement, applySQL, parameters...)
	}
	return nil
}

const uniqueViolation = "23505"

// Classify says what to do about an error of a pipeline with transitions. An error in the values of a transition is never bad
// data: the readings of the batch are innocent of it, so the partition stops until a person has repaired the cause. Of two
// partitions that raise one alarm at the same moment, as after a change of their number, the second tries again. All other
// errors are returned as they are.
func Classify(err error) error {
	failed, ok := errors.AsType[*pgwire.StatementError](err)
	if !ok || failed.Statement != ApplyStatement {
		return err
	}
	switch {
	case failed.Err.Code == uniqueViolation:
		return &pipeline.Fault{Kind: pipeline.Transient, Err: err}
	case failed.Err.Code[:2] == "22" || failed.Err.Code[:2] == "23":
		return &pipeline.Fault{Kind: pipeline.Fatal, Err: fmt.Errorf("the alarms cannot be stored, and no reading is to blame: %w", err)}
	}
	return err
}
