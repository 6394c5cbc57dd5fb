package storedlog

import (
	"context"
	"fmt"

	"heartbeat/internal/alarm"
	"heartbeat/internal/audit"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
)

// auditedDatabase translates the database's values for the audit.
type auditedDatabase struct{ *query.AuditSnapshot }

func (d auditedDatabase) Logs(ctx context.Context) ([]audit.Log, error) {
	rows, err := d.Progress(ctx)
	if err != nil {
		return nil, err
	}
	all, err := d.Dropped(ctx)
	if err != nil {
		return nil, err
	}
	type key struct {
		log       string
		partition int32
	}
	dropped := map[key]int64{}
	for _, d := range all {
		dropped[key{d.Log, d.Partition}] = d.Rows
	}
	logs := []audit.Log{}
	for _, p := range progress.Compare(nil, rows) {
		logs = append(logs, audit.Log{
			Topic: p.Topic, TopicID: p.TopicID, Label: p.Log, Partition: p.Partition, Current: p.Current, First: p.First, Next: p.Next,
			Records: p.Records, Anomalies: p.Anomalies, DeadLettered: p.DeadLettered, Skipped: p.Skipped, Lost: p.Lost,
			Dropped: dropped[key{p.Log, p.Partition}],
		})
	}
	return logs, nil
}

func (d auditedDatabase) Contradictions(ctx context.Context) ([]audit.Problem, error) {
	found, err := d.AuditSnapshot.Contradictions(ctx)
	if err != nil {
		return nil, err
	}
	alarms, err := d.AlarmContradictions(ctx)
	if err != nil {
		return nil, err
	}
	all := append(problems("P6", found), problems("P11", alarms)...)
	err = alarmstore.CompareHistory(ctx, d.Tx(), func(stored alarm.Alarm, detail string) {
		all = append(all, audit.Problem{
			Promise: "P11", Log: stored.Log, Partition: stored.Partition, From: stored.Offset, To: stored.Offset + 1,
			Detail: fmt.Sprintf("alarm %s, %s of %s: %s", stored.ID, stored.Condition, stored.Subject, detail),
		})
	})
	return all, err
}

func problems(promise string, found []query.Contradiction) []audit.Problem {
	problems := make([]audit.Problem, len(found))
	for i, c := range found {
		problems[i] = audit.Problem{Promise: promise, Log: c.Label, Partition: c.Partition, From: c.Offset, To: c.Offset + 1, Detail: c.Detail}
	}
	return problems
}
