package ingest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/pipeline"
)

// alarmModel is one case of the test: the product and the reference, which see the same.
type alarmModel struct {
	*rapid.T
	system    *alarmSystem
	reference *reference
	customers []heartbeat.CustomerID
	home      map[heartbeat.CustomerID]int // the partition of their readings
	subjects  []string
	zombies   []zombie
	clock     time.Time
	checked   map[alarm.ID]int64 // versions whose history is checked
	steps     int
	done      map[string]int // how often each thing was done, over all cases
}

// zombie is a worker that was dropped and does not know it.
type zombie struct {
	worker *pipeline.Worker
	number int
}

// TestAlarmsAreThoseOfTheReference holds workers with detection, the database and operators against the reference. A step is a reading,
// an action of an operator, a changed limit, a fault, a rebalance, or a passage of time; each of rapid's checks has about 170. After
// each batch and each action every column of every alarm is compared, and the history of each that changed. A million steps are
//
//	go test ./internal/postgres/ingest -run TestAlarmsAreThoseOfTheReference -rapid.checks 6000 -timeout 0 -v
func TestAlarmsAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	system := newAlarmSystem(t)
	done := map[string]int{}
	steps, cases := 0, 0
	// Limits take effect by the database's clock at the earliest. Readings in a time to come let them change as they come.
	clock := time.Now().UTC().Truncate(time.Hour).Add(24 * time.Hour)
	rapid.Check(t, func(rt *rapid.T) {
		cases++
		m := newAlarmModel(rt, system, cases, clock, done)
		for range rapid.SampledFrom([]int{2, 10, 10, 10, 90}).Draw(rt, "rounds") {
			m.round()
			m.compare()
		}
		steps += m.steps
		clock = m.clock.Truncate(time.Hour).Add(24 * time.Hour)
	})
	t.Logf("%d steps in %d cases: %v", steps, cases, done)
	wantAllKinds(t, system, steps)
}

// wantAllKinds fails a long run in which something never happened to an alarm.
func wantAllKinds(t *testing.T, system *alarmSystem, steps int) {
	rows, err := system.pool.Query(t.Context(), `SELECT kind, count(*) FROM alarm_events GROUP BY kind`)
	if err != nil {
		t.Fatal(err)
	}
	events := map[alarm.Kind]int{}
	var kind alarm.Kind
	var count int
	if _, err := pgx.ForEachRow(rows, []any{&kind, &count}, func() error { events[kind] = count; return nil }); err != nil {
		t.Fatal(err)
	}
	t.Logf("events: %v", events)
	for _, kind := range []alarm.Kind{
		alarm.Raised, alarm.Recurred, alarm.Reopened, alarm.Worsened, alarm.Cleared, alarm.AcknowledgementExpired, alarm.SnoozeEnded,
		alarm.Acknowledged, alarm.Snoozed, alarm.Assigned, alarm.Commented, alarm.Closed,
	} {
		if steps > 50_000 && events[kind] == 0 {
			t.Errorf("nothing was ever %s in %d steps", kind, steps)
		}
	}
}

func newAlarmModel(t *rapid.T, system *alarmSystem, number int, clock time.Time, done map[string]int) *alarmModel {
	m := &alarmModel{T: t, system: system, clock: clock, checked: map[alarm.ID]int64{}, home: map[heartbeat.CustomerID]int{}, done: done}
	topic := pipeline.Partition{Topic: fmt.Sprintf("alarms-%d", number), TopicID: [16]byte{0: 1, 8: byte(number >> 16), 9: byte(number >> 8), 10: byte(number)}}
	m.reference = &reference{log: topic.Topic, states: map[heartbeat.CustomerID]*detect.State{}, cohorts: map[string]string{}}
	for i := range rapid.IntRange(2, 8).Draw(t, "customers") {
		customer := heartbeat.CustomerID(number*10 + i)
		m.customers = append(m.customers, customer)
		m.home[customer] = i % 2
		m.subjects = append(m.subjects, customer.String())
		if rapid.IntRange(0, 3).Draw(t, "in a cohort") == 0 {
			_, err := system.alarms.SetCohort(t.Context(), customer, topic.Topic, "anna")
			m.must(err)
			m.reference.cohorts[customer.String()] = topic.Topic
			system.limits.history = nil
		}
	}
	m.must(system.start(t.Context(), topic))
	return m
}

func (m *alarmModel) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *alarmModel) count(what string, n int) {
	m.steps += n
	m.done[what] += n
}

func (m *alarmModel) round() {
	switch rapid.IntRange(0, 21).Draw(m.T, "round") {
	case 0:
		m.clock = m.clock.Add(time.Duration(rapid.SampledFrom([]int{1, 15, 60, 600}).Draw(m.T, "minutes")) * time.Minute)
		m.count("passages of time", 1)
	case 1, 2:
		_, err := m.system.alarms.Expire(m.Context(), m.clock)
		m.must(err)
		m.count("ends by time", m.reference.expire(m.clock))
	case 3:
		m.limit()
	case 4, 5:
		m.rebalance()
	case 6, 7, 8, 9:
		for range rapid.IntRange(1, 5).Draw(m.T, "actions") {
			m.act()
			m.compare()
		}
	case 20:
		m.repartition()
	case 21:
		m.lose()
	default:
		m.batch()
	}
}

// limit sets a limit that takes effect after the readings so far.
func (m *alarmModel) limit() {
	limit := alarm.Limit{
		Scope: rapid.SampledFrom([]string{"person", "cohort", "fleet"}).Draw(m.T, "scope"), Author: "anna", Reason: "as agreed",
		EffectiveFrom: m.clock.Add(time.Duration(rapid.IntRange(1, 120).Draw(m.T, "from")) * time.Second),
	}
	switch limit.Scope {
	case "person":
		limit.Customer = rapid.SampledFrom(m.subjects).Draw(m.T, "customer")
	case "cohort":
		limit.Cohort = m.reference.log
	}
	limit.Low = rapid.SampledFrom([]int32{0, 25, 45}).Draw(m.T, "low")
	limit.High = rapid.SampledFrom([]int32{150, 182, 220}).Draw(m.T, "high")
	ends := rapid.SampledFrom([]int{0, 60, 1200}).Draw(m.T, "ends")
	if limit.Scope == "fleet" { // must be over in the next case
		ends = max(ends, 60)
	}
	if ends > 0 {
		limit.EndsAt = limit.EffectiveFrom.Add(time.Duration(ends) * time.Second)
	}
	stored, err := m.system.alarms.SetLimit(m.Context(), limit)
	m.must(err)
	if rapid.IntRange(0, 4).Draw(m.T, "taken back") == 0 { // before it takes effect
		_, err := m.system.alarms.EndLimit(m.Context(), stored.ID, "ben", "a mistake")
		m.must(err)
	} else {
		m.reference.limits = append(m.reference.limits, stored)
	}
	m.system.limits.history = nil
	m.count("limits", 1)
}

// rebalance gives a partition to another worker. The one before may hand over, and may not know it.
func (m *alarmModel) rebalance() {
	p := rapid.IntRange(0, 1).Draw(m.T, "partition")
	old := m.system.worker[p]
	if rapid.Bool().Draw(m.T, "hands over") {
		m.must(old.Flush(m.Context()))
	} else {
		m.zombies = append(m.zombies, zombie{old, p})
	}
	m.must(m.system.claim(m.Context(), p))
	m.must(m.system.process(m.Context(), p, int64(rapid.SampledFrom([]int{1000, 7}).Draw(m.T, "replayed at a time"))))
	m.count("rebalances", 1)
}

// batch lets customers send readings, which a worker stores while faults happen and operators act.
func (m *alarmModel) batch() {
	p := rapid.IntRange(0, 1).Draw(m.T, "partition")
	before := len(m.system.logs[p])
	m.send(p)
	records := m.system.logs[p][before:]
	transitions, err := m.reference.evaluate(int32(p), records, m.system.refused[p])
	m.must(err)
	m.count("readings", len(records))

	name := rapid.SampledFrom(append(slices.Repeat([]string{"none"}, 12), faults...)).Draw(m.T, "fault")
	m.count(name, 1)
	meanwhile := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(m.T, "actions meanwhile")
	if slices.ContainsFunc(records, func(r heartbeat.Record) bool { return m.system.refused[p][r.Offset] }) {
		meanwhile = 0 // the worker halves the batch, so actions could come between its parts
	}
	actions := m.drawActions(meanwhile)
	size := int64(rapid.SampledFrom([]int{1000, 1000, 10, 3}).Draw(m.T, "at a time"))
	if len(actions) > 0 {
		size = 1000 // one transaction, before or after each action
	}
	outcomes := make([]alarm.Code, len(actions))
	group, ctx := errgroup.WithContext(m.Context())
	group.Go(func() error { return m.store(ctx, p, name, size) })
	for i, a := range actions {
		group.Go(func() (err error) {
			outcomes[i], err = m.actOnStore(ctx, a)
			return err
		})
	}
	m.must(group.Wait())
	if len(actions) == 0 {
		m.reference.apply(int32(p), transitions)
	} else {
		m.settle(p, transitions, actions, outcomes)
	}
	m.disturb()
}

// store lets the partition's worker store what its log has, and new workers when it is lost.
func (m *alarmModel) store(ctx context.Context, p int, name string, size int64) error {
	for {
		own, kill := context.WithCancel(ctx)
		old := m.system.worker[p]
		m.system.fail(ctx, p, name, kill)
		err := m.system.process(own, p, size)
		killed := own.Err() != nil
		kill()
		fenced := pipeline.KindOf(err) == pipeline.Fenced
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !killed && !fenced:
			return err
		case fenced && m.system.worker[p] == old:
			return fmt.Errorf("the only owner is fenced: %w", err)
		case killed:
			if err := m.system.claim(ctx, p); err != nil {
				return err
			}
		}
		name = "none"
	}
}

// disturb lets a worker that lost its partition go on: it must be fenced.
func (m *alarmModel) disturb() {
	for _, z := range m.zombies {
		log := m.system.logs[z.number]
		if next := z.worker.Next(); next < int64(len(log)) {
			if err := z.worker.Process(m.Context(), log[next:]); pipeline.KindOf(err) != pipeline.Fenced || err == nil {
				m.Fatalf("a worker without its partition is not fenced: %v", err)
			}
			m.count("zombies", 1)
		}
	}
	m.zombies = nil
}

// operation is what an operator does to an alarm.
type operation struct {
	alarm.Action
	id alarm.ID
}

func (m *alarmModel) drawActions(n int) (all []operation) {
	for range n {
		all = append(all, m.drawAction())
	}
	return all
}

func (m *alarmModel) drawAction() operation {
	o := operation{Action: alarm.Action{
		Kind: rapid.SampledFrom([]alarm.Kind{
			alarm.Acknowledged, alarm.Acknowledged, alarm.Snoozed, alarm.Closed, alarm.Assigned, alarm.Commented,
		}).Draw(m.T, "action"),
		Actor:    rapid.SampledFrom([]string{"anna", "ben"}).Draw(m.T, "actor"),
		Note:     rapid.SampledFrom([]string{"on my way", "", " "}).Draw(m.T, "note"),
		Assignee: rapid.SampledFrom([]string{"ben", ""}).Draw(m.T, "assignee"),
		For:      time.Duration(rapid.IntRange(-1, 20).Draw(m.T, "minutes")) * time.Minute,
	}, id: alarm.ID{1}}
	if n := len(m.reference.alarms); n > 0 && rapid.IntRange(0, 19).Draw(m.T, "known") > 0 {
		// The later ones are more likely open.
		h := m.reference.alarms[n-1-rapid.IntRange(0, n-1).Draw(m.T, "alarm")]
		o.id = h.ID
		if rapid.Bool().Draw(m.T, "expects") {
			o.Expected = max(h.Version+int64(rapid.IntRange(-4, 1).Draw(m.T, "expected")), 0)
		}
	}
	return o
}

func (m *alarmModel) act() {
	o := m.drawAction()
	want := m.reference.act(o.id, o.Action, m.clock)
	got, err := m.actOnStore(m.Context(), o)
	m.must(err)
	if got != want {
		m.Fatalf("%s of %v by %s, version %d expected: code %q, want %q", o.Kind, o.id, o.Actor, o.Expected, got, want)
	}
	m.count("actions", 1)
	m.done[cmp.Or(string(want), "accepted")]++
}

// actOnStore returns the code of a refusal.
func (m *alarmModel) actOnStore(ctx context.Context, o operation) (alarm.Code, error) {
	_, err := m.system.alarms.Act(ctx, o.id, o.Action, m.clock)
	if refused, ok := errors.AsType[*alarm.Error](err); ok {
		return refused.Code, nil
	}
	return "", err
}
