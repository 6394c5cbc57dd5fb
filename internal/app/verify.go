package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/alarmreplay"
	"heartbeat/internal/audit"
	"heartbeat/internal/detect"
	"heartbeat/internal/evaluate"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/simulate"
	"heartbeat/internal/storedlog"
)

// VerifyOptions say what to audit.
type VerifyOptions struct {
	Kafka    kafka.Config // its topic is any: the audit covers every topic that is stored
	Database postgres.Options
	Replay   bool         // also run the detector over what the topic holds, and compare
	Progress func(string) // is told what is being looked at; may be nil
	Logger   *slog.Logger
}

// Verify audits what is stored against what the broker has.
func Verify(ctx context.Context, options VerifyOptions) (audit.Report, error) {
	options.Database.KeepReadOnly = true
	pool, err := openDatabase(ctx, options.Database, options.Logger)
	if err != nil {
		return audit.Report{}, err
	}
	defer pool.Close()
	logs, err := storedlog.Open(ctx, pool, options.Kafka)
	if err != nil {
		return audit.Report{}, err
	}
	defer logs.Close()
	report, err := logs.Audit(ctx, options.Progress)
	if err != nil || !options.Replay {
		return report, err
	}
	limits, err := alarmstore.NewLimitCache(pool, detect.DefaultLimits()).Current(ctx)
	if err != nil {
		return report, err
	}
	replay := alarmreplay.New(detect.DefaultSettings(), limits)
	if err := replayLogs(ctx, logs, replay, storedlog.Between{}, options.Progress); err != nil {
		return report, err
	}
	addReplay(&report, replay)
	return report, nil
}

// addReplay adds to a report what a replay found.
func addReplay(report *audit.Report, replay *alarmreplay.Replay) {
	found, more := replay.Differences()
	for _, d := range found {
		report.Add(audit.Problem{Promise: "P11", Log: d.Log, Partition: d.Partition, From: d.Offset, To: d.Offset + 1, Detail: d.Detail})
	}
	report.Omitted += int(more)
	all, undecided := replay.Customers()
	report.Replay = &audit.Replay{
		Readings: replay.Readings, Transitions: replay.Transitions, Customers: all, Undecided: undecided, Undetected: []audit.Undetected{},
	}
	for _, g := range replay.Gaps() {
		report.Replay.Undetected = append(report.Replay.Undetected, audit.Undetected{
			Log: g.Log, Partition: g.Partition, From: g.From, To: g.To + 1, Transitions: g.Transitions,
		})
	}
}

// StoredOptions say which stored alarms are evaluated.
type StoredOptions struct {
	Kafka      kafka.Config
	Database   postgres.Options
	From, To   time.Time
	TruthTopic string
	Progress   func(string) // is told what is being read; may be nil
	Logger     *slog.Logger
}

// StoredResult is what the stored alarms are worth, and whether they are those of the detector alone.
type StoredResult struct {
	From        time.Time       `json:"from"`
	To          time.Time       `json:"to"`
	Readings    int64           `json:"readings"` // that Kafka still has, around that time
	Customers   int             `json:"customers"`
	Episodes    int             `json:"episodes"` // of the truth, at any time
	Stored      evaluate.Judged `json:"stored"`
	Offline     evaluate.Judged `json:"offline"`     // the detector over the log, without database and faults
	Equal       bool            `json:"equal"`       // both have the same alarms
	Differences int64           `json:"differences"` // transitions that one of them has, or has otherwise
	Undecided   int             `json:"undecided"`   // customers with too few readings in the log to compare
}

// EvaluateStored compares the stored alarms with the truth that a simulator wrote, beside those of the detector over the log.
func EvaluateStored(ctx context.Context, options StoredOptions) (StoredResult, error) {
	result := StoredResult{From: options.From.UTC(), To: options.To.UTC()}
	options.Database.KeepReadOnly = true
	pool, err := openDatabase(ctx, options.Database, options.Logger)
	if err != nil {
		return result, err
	}
	defer pool.Close()
	logs, err := storedlog.Open(ctx, pool, options.Kafka)
	if err != nil {
		return result, err
	}
	defer logs.Close()
	limits, err := alarmstore.NewLimitCache(pool, detect.DefaultLimits()).Current(ctx)
	if err != nil {
		return result, err
	}
	episodes, err := readTruth(ctx, logs, options.TruthTopic)
	if err != nil {
		return result, err
	}
	offline := evaluate.Monitored{From: options.From, To: options.To, Episodes: episodes}
	replay := alarmreplay.New(detect.DefaultSettings(), limits)
	if offline.Alarms, err = replayAlarms(ctx, logs, replay, options); err != nil {
		return result, err
	}
	offline.Customers, result.Undecided = replay.Customers()
	stored := offline
	if stored.Alarms, err = storedAlarms(ctx, logs, options.To); err != nil {
		return result, err
	}
	found, more := replay.Differences()
	result.Differences = int64(len(found)) + more
	result.Readings, result.Customers, result.Episodes = replay.Readings, offline.Customers, len(episodes)
	result.Stored, result.Offline = stored.Judge("stored", "stored alarms"), offline.Judge("offline", "the detector over the log")
	result.Equal = stored.Same(&offline) && result.Differences == 0
	return result, nil
}

func replayLogs(ctx context.Context, logs *storedlog.Logs, replay *alarmreplay.Replay, between storedlog.Between, progress func(string)) error {
	stretches, err := logs.Stretches(ctx, between)
	if err != nil {
		return err
	}
	return logs.Replay(ctx, replay, stretches, progress)
}

// readTruth reads the episodes of all simulators that wrote to a topic.
func readTruth(ctx context.Context, logs *storedlog.Logs, topic string) (episodes []simulate.Episode, err error) {
	var wrong error
	err = logs.Records(ctx, topic, func(record *heartbeat.Record) {
		var e simulate.Episode
		if err := json.Unmarshal(record.Value, &e); err != nil {
			wrong = fmt.Errorf("read truth at offset %d of topic %s: %w", record.Offset, topic, err)
			return
		}
		episodes = append(episodes, e)
	})
	if err == nil {
		err = wrong
	}
	return episodes, err
}

func replayAlarms(ctx context.Context, logs *storedlog.Logs, replay *alarmreplay.Replay, options StoredOptions) (map[heartbeat.CustomerID][]evaluate.Alarm, error) {
	collected := map[heartbeat.CustomerID]*evaluate.Alarms{}
	replay.Observe = func(customer heartbeat.CustomerID, _ detect.Reading, transitions []detect.Transition) {
		if len(transitions) == 0 {
			return
		}
		if collected[customer] == nil {
			collected[customer] = &evaluate.Alarms{}
		}
		collected[customer].Apply(transitions)
	}
	around := storedlog.Between{From: options.From.Add(-dryRunWarmUp), To: options.To.Add(dryRunTail)}
	if err := replayLogs(ctx, logs, replay, around, options.Progress); err != nil {
		return nil, err
	}
	alarms := map[heartbeat.CustomerID][]evaluate.Alarm{}
	for customer, c := range collected {
		alarms[customer] = c.All
	}
	return alarms, nil
}

// reopenWithin is how soon after its end an alarm that comes back counts as a flap.
const reopenWithin = 10 * time.Minute

func storedAlarms(ctx context.Context, logs *storedlog.Logs, until time.Time) (map[heartbeat.CustomerID][]evaluate.Alarm, error) {
	alarms := map[heartbeat.CustomerID][]evaluate.Alarm{}
	var subject string
	var condition alarm.Condition
	var cleared time.Time
	err := logs.AlarmEvents(ctx, until, func(e *alarm.Event) {
		customer, err := heartbeat.ParseCustomerID(e.Subject)
		if err != nil {
			return // of many
		}
		if e.Subject != subject || e.Condition != condition {
			subject, condition, cleared = e.Subject, e.Condition, time.Time{}
		}
		switch own := alarms[customer]; e.Kind {
		case alarm.Raised, alarm.Recurred, alarm.Reopened:
			alarms[customer] = append(own, evaluate.Alarm{
				Condition: simulate.Condition(e.Condition), Raised: detect.TimeOf(e.At), Urgent: e.Priority > alarm.Low,
				Reopened: e.At.Sub(cleared) <= reopenWithin,
			})
		case alarm.Worsened:
			if len(own) > 0 {
				own[len(own)-1].Urgent = true
			}
		case alarm.Cleared:
			cleared = e.At
		}
	})
	return alarms, err
}
