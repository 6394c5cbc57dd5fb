package detect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/heartbeat"
)

// start is the time of a trace's second 0, on a whole minute.
const start Time = 1_790_000_040 * second

// trace is a customer's readings, by the second.
type trace struct {
	readings []Reading
	at       Time // of the next reading
	every    Time
}

func every(seconds Time) *trace { return &trace{at: start, every: seconds * second} }

// hold appends count readings of one rate.
func (tr *trace) hold(count, rate int) *trace {
	for range count {
		tr.add(rate)
	}
	return tr
}

// values appends readings one by one.
func (tr *trace) values(rates ...int) *trace {
	for _, rate := range rates {
		tr.add(rate)
	}
	return tr
}

func (tr *trace) wait(seconds Time) *trace {
	tr.at += seconds * second
	return tr
}

func (tr *trace) add(rate int) {
	r := Reading{Event: tr.at, Kafka: tr.at, Offset: int64(len(tr.readings))}
	r.Class, r.BPM = heartbeat.Classify(float64(rate))
	tr.readings = append(tr.readings, r)
	tr.at += tr.every
}

// edit changes the readings from the nth on.
func (tr *trace) edit(from, to int, change func(*Reading)) *trace {
	for i := from; i < to; i++ {
		change(&tr.readings[i])
	}
	return tr
}

// run steps the trace, through an encoded state after every reading, and describes the transitions.
func (tr *trace) run(t *testing.T, limits Limits) []string {
	t.Helper()
	d := newDetector(t)
	var state State
	var lines []string
	for _, r := range tr.readings {
		for _, now := range d.Step(&state, r, limits, nil) {
			lines = append(lines, describe(now))
		}
		state = roundTrip(t, state)
	}
	return lines
}

func describe(t Transition) string {
	return fmt.Sprintf("%ds %v %v %v %d/%d", (t.At-start)/second, t.Condition, t.Kind, t.Priority, t.Value, t.Limit)
}

func alternate(count int, rates ...int) (all []int) {
	for i := range count {
		all = append(all, rates[i%len(rates)])
	}
	return all
}

// ramp rises evenly from one rate to another, both included.
func ramp(from, to, count int) (all []int) {
	for i := range count {
		all = append(all, from+(to-from)*i/(count-1))
	}
	return all
}

// breathing is a rate that does not stand still, as no heart does.
func breathing(rate, count int) (all []int) { return alternate(count, rate, rate+1, rate-1, rate+2) }

func TestGoldenTraces(t *testing.T) {
	t.Parallel()
	healthy := breathing(75, 8) // 40 s at 5 s
	for name, c := range map[string]struct {
		trace *trace
		want  string // one transition a line
	}{
		"spike of one reading":  {every(5).values(healthy...).values(210).values(healthy...), ""},
		"spike of two readings": {every(5).values(healthy...).values(210, 212).values(healthy...), ""},
		"ramp of 30 s": {every(5).values(healthy...).values(ramp(80, 194, 7)...).values(breathing(195, 8)...), `
			90s rate_high raise high 196/180`},
		"step": {every(5).values(healthy...).values(breathing(195, 6)...), `
			55s rate_high raise high 196/180`},
		"one reading short of the delay": {every(5).values(healthy...).values(breathing(195, 3)...).values(breathing(75, 20)...), ""},
		"flap at 180 and 181":            {every(5).values(ramp(100, 180, 9)...).values(alternate(200, 180, 181)...), ""},
		"exactly at the high limit":      {every(5).values(ramp(100, 180, 9)...).values(alternate(60, 180, 179)...), ""},
		"just above the high limit": {every(5).values(ramp(100, 180, 9)...).values(alternate(60, 181, 182)...), `
			65s rate_high raise high 181/180`},
		"exactly at the low limit": {every(5).values(ramp(75, 40, 9)...).values(alternate(60, 40, 41)...), ""},
		"just below the low limit": {every(5).values(ramp(75, 40, 9)...).values(alternate(60, 39, 38)...), `
			65s rate_low raise high 39/40`},
		"clear band": {every(5).values(ramp(100, 196, 9)...).values(breathing(195, 8)...).values(alternate(40, 176, 178)...).values(alternate(12, 175, 174)...), `
			50s rate_high raise high 196/180
			320s rate_high clear high 174/180`},
		"below the limit is no clear": {every(5).values(ramp(100, 196, 9)...).values(breathing(195, 8)...).values(alternate(400, 176, 180)...), `
			50s rate_high raise high 196/180`},
		"gap while active": {every(5).values(healthy...).values(breathing(195, 8)...).wait(600).values(breathing(195, 8)...), `
			55s rate_high raise high 196/180`},
		"gap ends the episode unseen": {every(5).values(healthy...).values(breathing(195, 8)...).wait(1800).values(breathing(75, 12)...), `
			55s rate_high raise high 196/180
			1915s rate_high clear high 76/180`},
		"raise, clear and raise in one batch": {every(5).values(healthy...).values(breathing(195, 8)...).values(breathing(75, 12)...).values(breathing(195, 8)...), `
			55s rate_high raise high 196/180
			120s rate_high clear high 75/180
			155s rate_high reopen high 196/180`},
		"raise again after the reopen window": {every(60).values(breathing(75, 8)...).values(breathing(195, 8)...).values(breathing(75, 18)...).values(breathing(195, 8)...), `
			660s rate_high raise high 196/180
			1080s rate_high clear high 75/180
			2220s rate_high raise high 196/180`},
		"late upload": {every(5).values(healthy...).values(breathing(195, 60)...).edit(8, 68, func(r *Reading) { r.Kafka = r.Event + 11*60*minute }), ""},
		"exactly 120 s old is judged": {every(5).values(healthy...).values(breathing(195, 6)...).edit(0, 14, func(r *Reading) { r.Kafka = r.Event + 120*second }), `
			55s rate_high raise high 196/180`},
		"clock 9 minutes ahead": {every(5).values(healthy...).values(breathing(195, 6)...).edit(2, 4, func(r *Reading) { r.Event += 540 * second }), `
			55s rate_high raise high 196/180`},
		"Kafka timestamp unknown": {every(5).values(healthy...).values(breathing(195, 6)...).edit(0, 14, func(r *Reading) { r.Kafka = UnknownTime }), `
			55s rate_high raise high 196/180`},
		"duplicates": {every(5).values(healthy...).values(210).wait(-5).values(210).wait(-5).values(210).wait(-5).values(210).values(healthy...), ""},
		"interval of 1 s": {every(1).values(breathing(75, 20)...).values(breathing(195, 20)...), `
			35s rate_high raise high 196/180`},
		"interval of 10 s": {every(10).values(breathing(75, 5)...).values(breathing(195, 5)...), `
			70s rate_high raise high 195/180`},
		"interval of 60 s": {every(60).values(breathing(75, 5)...).values(breathing(195, 5)...), `
			480s rate_high raise high 196/180`},
		"interval of 5 min, confirmed": {every(300).values(75, 76, 74, 195, 196, 75, 76), `
			900s rate_high raise low 195/180
			1200s rate_high worsen high 196/180
			1800s rate_high clear high 76/180`},
		"interval of 5 min, not confirmed": {every(300).values(75, 76, 74, 195, 75, 76, 35, 75), `
			900s rate_high raise low 195/180
			1200s rate_high clear low 75/180
			1800s rate_low raise low 35/40
			2100s rate_low clear low 75/40`},
		"interval of 5 min, confirmation within 3 intervals": {every(300).values(75, 76, 74, 195).wait(600).values(196), `
			900s rate_high raise low 195/180
			1800s rate_high worsen high 196/180`},
		"interval of 5 min, confirmation too late": {every(300).values(75, 76, 74, 195).wait(601).values(196, 197), `
			900s rate_high raise low 195/180
			2101s rate_high worsen high 197/180`},
		"a burst within the gate while unconfirmed": {every(300).values(75, 76, 74, 195).wait(-295).values(75, 76), `
			900s rate_high raise low 195/180
			1205s rate_high clear low 76/180`},
		"constant 195": {every(5).values(healthy...).hold(200, 195), `
			55s rate_high raise high 195/180
			650s bad_signal raise low 0/20`},
		"stuck value, 59 readings": {every(11).values(75).hold(59, 80).values(81), ""},
		"stuck value, 60 readings": {every(11).values(75).hold(60, 80).values(81), `
			660s bad_signal raise low 0/20
			671s bad_signal clear low 0/20`},
		"stuck value, 10 minutes": {every(1).values(75, 76, 77).hold(601, 80).values(81), `
			603s bad_signal raise low 0/20
			604s bad_signal clear low 0/20`},
		"stuck value, just under 10 minutes": {every(1).values(75, 76, 77).hold(600, 80).values(81), ""},
		"over 20 % invalid": {every(5).values(alternate(60, 75, 0, 76, 75, 77, 0, 74, 76, 75)...), `
			205s bad_signal raise low 23/20`},
		"one in six invalid": {every(5).values(alternate(120, 75, 76, 77, 74, 73, 0)...), ""},
		"invalid only, once in 5 min": {every(300).values(75, 0, 0, 0, 0, 0, 75), `
			1500s bad_signal raise low 100/20
			1800s bad_signal clear low 0/20`},
		"no contact": {every(5).values(breathing(200, 6)...).edit(0, 6, func(r *Reading) { r.NoContact = true }), `
			20s bad_signal raise low 100/20`},
		"invalid is no rate":           {every(5).values(healthy...).hold(4, 400).values(healthy...), ""},
		"first reading is an artefact": {every(5).values(210).values(breathing(75, 30)...), ""},
		// The 75s between the artefacts are gated, if the first 210 is believed, and the 205s are not.
		"artefacts from the first reading on": {every(5).values(210, 75, 205, 76, 208, 75, 76, 74, 75).values(healthy...), ""},
		"starts at 195": {every(5).values(breathing(195, 8)...), `
			15s rate_high raise high 196/180`},
		"starts at 195, with an artefact": {every(5).values(195, 196, 30, 195, 197), `
			20s rate_high raise high 196/180`},
		"first values never agree": {every(5).values(alternate(20, 75, 120, 165)...), `
			45s bad_signal raise low 100/20`},
		// The gated 75s are believed 250 minutes later, when the remainder of their minute is that of the latest artefact.
		"gated readings of hours ago": {every(1).values(-1, -1, 75, 75).wait(4999).values(-1).wait(4999).values(-1).wait(4999).values(-1, 75), `
			15003s bad_signal raise low 100/20`},
		"interval of 5 min, starts at 195": {every(300).values(195, 196, 195), `
			300s rate_high raise low 196/180
			600s rate_high worsen high 195/180`},
		"interval of 5 min, first reading is an artefact": {every(300).values(195, 75, 76), ""},
		"step with an artefact": {every(5).values(healthy...).values(195, 30, 196, 194, 195), `
			60s rate_high raise high 195/180`},
		"step among artefacts that agree with nothing": {every(5).values(healthy...).values(195, 30, 75, 196, 35, 76, 194, 75), ""},
		// A year ahead, and no Kafka timestamp that says so: the next reading with one starts the clock again.
		"without a Kafka timestamp, a year ahead": {every(5).values(healthy...).values(breathing(195, 8)...).edit(6, 7, func(r *Reading) {
			r.Event, r.Kafka = r.Event+365*1440*minute, UnknownTime
		}), `
			55s rate_high raise high 196/180`},
		"without a Kafka timestamp, a year ahead, while active": {every(5).values(healthy...).values(breathing(195, 8)...).values(breathing(75, 12)...).edit(14, 15, func(r *Reading) {
			r.Event, r.Kafka = r.Event+365*1440*minute, UnknownTime
		}), `
			55s rate_high raise high 196/180
			120s rate_high clear high 75/180`},
		"without a Kafka timestamp, 9 minutes ahead": {every(5).values(healthy...).edit(7, 8, func(r *Reading) {
			r.Event, r.Kafka = r.Event+9*minute, UnknownTime
		}).values(breathing(195, 115)...), `
			595s rate_high raise high 196/180`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, line := range strings.Split(strings.TrimSpace(c.want), "\n") {
				if line != "" {
					want = append(want, strings.TrimSpace(line))
				}
			}
			if diff := cmp.Diff(want, c.trace.run(t, DefaultLimits())); diff != "" {
				t.Errorf("transitions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHourAround180IsOneAlarm(t *testing.T) {
	t.Parallel()
	tr := every(5).values(ramp(100, 180, 9)...)
	for i := range 720 {
		tr.add(180 + int(uint32(i)*2654435761>>16%7) - 3)
	}
	if got := tr.run(t, DefaultLimits()); len(got) != 1 || !strings.Contains(got[0], "rate_high raise high") {
		t.Errorf("an hour at 180 ± 3 gave %q, want one raise", got)
	}
}

func TestSparseArtefactsRaiseNothing(t *testing.T) {
	t.Parallel()
	tr := every(5)
	for i := range 17_280 {
		rate := 72 + i*7%5
		if i%20 == 13 {
			rate = alternate(40, 181, 39)[i/20%2]
		}
		tr.add(rate)
	}
	if got := tr.run(t, DefaultLimits()); got != nil {
		t.Errorf("a day with 5 %% artefacts of 181 and 39 gave %q, want nothing", got)
	}
}

func TestPersonalLimitDecides(t *testing.T) {
	t.Parallel()
	tr := every(5).values(breathing(75, 8)...).values(breathing(195, 20)...)
	if got := tr.run(t, Limits{Low: 40, High: 200}); got != nil {
		t.Errorf("195 with a limit of 200 gave %q, want nothing", got)
	}
	tr = every(5).values(breathing(75, 8)...).values(ramp(75, 48, 5)...).values(breathing(46, 8)...)
	if got := tr.run(t, Limits{Low: 50, High: 180}); len(got) != 1 || !strings.Contains(got[0], "rate_low raise high") {
		t.Errorf("46 with a limit of 50 gave %q, want one raise", got)
	}
}

// A consumer killed at 70 % of the on-delay: its successor restores an older snapshot and steps the log from there.
func TestReplayFromSnapshotGivesSameAlarms(t *testing.T) {
	t.Parallel()
	tr := every(5).values(breathing(75, 8)...).values(breathing(195, 8)...).values(breathing(75, 12)...)
	d := newDetector(t)
	var unbroken State
	snapshots := make([]State, 0, len(tr.readings))
	var want []Transition
	for _, r := range tr.readings {
		snapshots = append(snapshots, unbroken)
		want = d.Step(&unbroken, r, DefaultLimits(), want)
	}
	for from, snapshot := range snapshots {
		state := roundTrip(t, snapshot)
		var got []Transition
		for _, r := range tr.readings[from:] {
			got = d.Step(&state, r, DefaultLimits(), got)
		}
		var rest []Transition
		for _, w := range want {
			if w.Offset >= int64(from) {
				rest = append(rest, w)
			}
		}
		if diff := cmp.Diff(rest, got); diff != "" || state != unbroken {
			t.Errorf("replay from offset %d (-unbroken +replayed):\n%s", from, diff)
		}
	}
}
