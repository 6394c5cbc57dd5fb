package e2e_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/postgres/alarmstore"
)

// alarmOracle runs the detector over a topic's records as they are read, without any fault: these are the alarms that must be
// stored. It shares the detector with the consumer, because the rules have their own reference in internal/detect. It shares
// nothing of what faults concern: batches, transactions, states in the database and replays.
type alarmOracle struct {
	detectors   map[logPartition]*detect.Detector
	customers   map[heartbeat.CustomerID]*oracleCustomer
	transitions []oracleTransition
	limits      *detect.LimitHistory
}

type logPartition struct {
	log       string
	partition int32
}

type oracleCustomer struct {
	state detect.State
	from  logPartition
	heard oracleReading
	gaps  map[int64]bool // offsets after which the customer was not heard for leastSilence at least
	// undecided: readings came from several partitions, whose order no log says, or the topic has lost some.
	undecided bool
}

type oracleReading struct {
	offset int64
	kafka  time.Time
}

// leastSilence is the shortest limit of silence that a customer can have (docs/alarms.md).
const leastSilence = time.Minute

// hear takes the time of a reading. Where a time is unknown, any silence is possible.
func (c *oracleCustomer) hear(offset int64, kafka time.Time) {
	unknown := knownTime(kafka) == detect.UnknownTime || knownTime(c.heard.kafka) == detect.UnknownTime
	if unknown || kafka.Sub(c.heard.kafka) >= leastSilence {
		c.gaps[c.heard.offset] = true
	}
	c.heard = oracleReading{offset, kafka}
}

type oracleTransition struct {
	alarm.Transition
	customer heartbeat.CustomerID
	from     logPartition
}

func newAlarmOracle(t testing.TB) *alarmOracle {
	t.Helper()
	limits, err := detect.NewLimitHistory(detect.DefaultLimits(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &alarmOracle{detectors: map[logPartition]*detect.Detector{}, customers: map[heartbeat.CustomerID]*oracleCustomer{}, limits: limits}
}

// evaluate steps one record in the order of its partition. Incomplete says that the partition does not begin at offset 0.
func (o *alarmOracle) evaluate(t testing.TB, id recordID, what outcome, kafkaTime time.Time, incomplete bool) {
	t.Helper()
	if what.Class == "" {
		return
	}
	customer, err := heartbeat.ParseCustomerID(what.Customer)
	if err != nil {
		t.Fatal(err)
	}
	from := logPartition{id.Log, id.Partition}
	detector, ok := o.detectors[from]
	if !ok {
		if detector, err = detect.New(detect.DefaultSettings(), detect.Source{Log: from.log, Partition: from.partition}); err != nil {
			t.Fatal(err)
		}
		o.detectors[from] = detector
	}
	held, ok := o.customers[customer]
	if !ok {
		held = &oracleCustomer{from: from, gaps: map[int64]bool{}}
		o.customers[customer] = held
	}
	held.hear(id.Offset, kafkaTime)
	held.undecided = held.undecided || incomplete || held.from != from
	class := map[string]heartbeat.Class{
		"NORMAL": heartbeat.Normal, "BRADYCARDIA": heartbeat.Bradycardia, "TACHYCARDIA": heartbeat.Tachycardia, "INVALID": heartbeat.Invalid,
	}[what.Class]
	reading := detect.Reading{
		Event: detect.Time(what.Micros), Kafka: knownTime(kafkaTime), Offset: id.Offset,
		BPM: heartbeat.BPM(what.BPM), Class: class,
	}
	for _, transition := range detector.Step(&held.state, reading, o.limits.At(customer, reading.TimeUsed()), nil) {
		o.transitions = append(o.transitions, oracleTransition{alarm.Detected(customer, &transition), customer, from})
	}
}

// expected folds the transitions to alarms and their history, as a line each. While an alarm is open a raise recurs, and a
// reopening belongs to the latest alarm.
func (o *alarmOracle) expected(t testing.TB) (lines []string) {
	t.Helper()
	type key struct {
		subject   string
		condition alarm.Condition
	}
	held := map[key][]alarm.Alarm{}
	for _, transition := range o.transitions {
		if o.customers[transition.customer].undecided {
			continue
		}
		k := key{transition.Subject, transition.Condition}
		event := alarm.Event{
			ID: transition.EventID(transition.from.log, transition.from.partition), Alarm: transition.Alarm, Version: 1, Kind: transition.Kind,
			At: transition.At, Since: transition.Since, Priority: transition.Priority, Measure: transition.Measure,
			Subject: transition.Subject, Condition: transition.Condition,
			Position: &alarm.Position{Log: transition.from.log, Partition: transition.from.partition, Offset: transition.Offset},
		}
		last := len(held[k]) - 1
		opens := transition.Kind == alarm.Raised || transition.Kind == alarm.Reopened
		switch {
		case last < 0 || transition.Kind == alarm.Raised && !held[k][last].Open():
			held[k] = append(held[k], alarm.Alarm{})
			last++
		case opens && held[k][last].Open():
			event.Kind = alarm.Recurred
		}
		if a := &held[k][last]; a.Version > 0 {
			event.Alarm, event.Version = a.ID, a.Version+1
		}
		after, err := alarm.Fold(held[k][last], event)
		if err != nil {
			t.Fatal(err)
		}
		held[k][last] = after
		lines = append(lines, eventLine(&event))
	}
	for _, alarms := range held {
		for i := range alarms {
			lines = append(lines, alarmLine(&alarms[i]))
		}
	}
	slices.Sort(lines)
	return lines
}

func alarmLine(a *alarm.Alarm) string {
	text, _ := json.Marshal(a)
	return a.Subject + " " + string(a.Condition) + " is " + string(text)
}

func eventLine(e *alarm.Event) string {
	e.RecordedAt = time.Time{}
	text, _ := json.Marshal(e)
	return e.Subject + " " + string(e.Condition) + " was " + string(text)
}

// stored returns the lines of what is stored, but for customers that the topic does not decide. The escalations of a notifier
// follow the clock, not the log: they are left out, and the versions are those without them. Silence, outage and lag follow the clock, too,
// and a customer whose signal was lost while an alarm was active is left out.
func (o *alarmOracle) stored(t testing.TB, pool *pgxpool.Pool) (lines []string) {
	t.Helper()
	decided := func(subject string) bool {
		customer, err := heartbeat.ParseCustomerID(subject)
		return err != nil || o.customers[customer] == nil || !o.customers[customer].undecided
	}
	scan(t, pool, `SELECT DISTINCT a.subject FROM alarm_events AS e JOIN alarms AS a USING (alarm_id) WHERE e.kind IN ('stale', 'fresh')`, func(rows pgx.Rows) error {
		var subject string
		if err := rows.Scan(&subject); err != nil {
			return err
		}
		customer, err := heartbeat.ParseCustomerID(subject)
		if held := o.customers[customer]; held != nil {
			held.undecided = true
		}
		return err
	})
	alarms, err := alarmstore.New(pool).List(t.Context(), alarm.Query{Filter: alarm.FilterAll, Limit: 1 << 30}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	escalations := map[alarm.ID][]int64{} // versions
	scan(t, pool, `SELECT alarm_id, version FROM alarm_events WHERE kind = 'escalated'`, func(rows pgx.Rows) error {
		var id alarm.ID
		var version int64
		err := rows.Scan(&id, &version)
		escalations[id] = append(escalations[id], version)
		return err
	})
	for i := range alarms {
		alarms[i].Version -= int64(len(escalations[alarms[i].ID]))
		alarms[i].Tier = 0
		if decided(alarms[i].Subject) && followsLog(alarms[i].Condition) {
			lines = append(lines, alarmLine(&alarms[i]))
		}
	}
	scan(t, pool, `
SELECT e.event_id, e.alarm_id, a.subject, a.condition, e.version, e.kind, e.at, coalesce(e.since, e.at), coalesce(e.priority::text, ''),
       coalesce(e.value, 0), coalesce(e.peak, 0), coalesce(e."limit", 0), coalesce(e.detail, ''),
       e.kafka_topic, e.kafka_partition, e.kafka_offset
  FROM alarm_events AS e
  JOIN alarms AS a USING (alarm_id)
 WHERE e.kafka_topic IS NOT NULL`, func(rows pgx.Rows) error {
		var e alarm.Event
		var at alarm.Position
		var priority string
		var escalated int64 // before this event
		err := rows.Scan(&e.ID, &e.Alarm, &e.Subject, &e.Condition, &e.Version, &e.Kind, &e.At, &e.Since, &priority,
			&e.Value, &e.Peak, &e.Limit, &e.Detail, &at.Log, &at.Partition, &at.Offset)
		if err != nil {
			return err
		}
		e.At, e.Since, e.Position = e.At.UTC(), e.Since.UTC(), &at
		for _, version := range escalations[e.Alarm] {
			if version < e.Version {
				escalated++
			}
		}
		e.Version -= escalated
		if priority != "" {
			if e.Priority, err = alarm.ParsePriority(priority); err != nil {
				return err
			}
		}
		if decided(e.Subject) && followsLog(e.Condition) {
			lines = append(lines, eventLine(&e))
		}
		return nil
	})
	slices.Sort(lines)
	return lines
}

func followsLog(c alarm.Condition) bool { return c != alarm.Silent && !c.OfFleet() }

// auditAlarms compares the alarms, with ids, times, positions and history, with those of a run without faults over the topic.
func auditAlarms(t testing.TB, pool *pgxpool.Pool, want *alarmOracle) (alarms int) {
	t.Helper()
	d := differences{t: t, what: "P11, no alarm is missed and none is raised twice"}
	stored := want.stored(t, pool) // first: it says who is left out
	expected := want.expected(t)
	for i, j := 0, 0; i < len(expected) || j < len(stored); {
		order := 0
		switch {
		case i == len(expected):
			order = 1
		case j == len(stored):
			order = -1
		default:
			order = cmp.Compare(expected[i], stored[j])
		}
		switch {
		case order < 0:
			d.add("missing: %s", expected[i])
		case order > 0:
			d.add("not expected: %s", stored[j])
		}
		if order <= 0 {
			if strings.Contains(expected[i], " is {") {
				alarms++
			}
			i++
		}
		if order >= 0 {
			j++
		}
	}
	d.report()
	want.auditSilences(t, pool)
	return alarms
}

// auditSilences checks that no customer was found silent who was heard again within the shortest limit.
func (o *alarmOracle) auditSilences(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	d := differences{t: t, what: "P12, no customer is found silent who is heard"}
	scan(t, pool, `
SELECT a.subject, e.kafka_offset
  FROM alarm_events AS e
  JOIN alarms AS a USING (alarm_id)
 WHERE a.condition = 'silent' AND e.kind IN ('raised', 'reopened', 'recurred')`, func(rows pgx.Rows) error {
		var subject string
		var offset int64
		if err := rows.Scan(&subject, &offset); err != nil {
			return err
		}
		customer, err := heartbeat.ParseCustomerID(subject)
		if err != nil {
			return err
		}
		held := o.customers[customer]
		if held == nil || !held.undecided && offset != held.heard.offset && !held.gaps[offset] {
			d.add("%s was found silent after offset %d", subject, offset)
		}
		return nil
	})
	d.report()
}

// knownTime is unknown where a record has no Kafka timestamp, or one of a clock that was never set.
func knownTime(kafkaTime time.Time) detect.Time {
	if kafkaTime.UTC().Year() < 2000 {
		return detect.UnknownTime
	}
	return detect.TimeOf(kafkaTime)
}
