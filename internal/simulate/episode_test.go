package simulate

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
)

// recordings are the readings of a population by customer, in the order of sending, and its truth.
type recordings struct {
	readings map[heartbeat.CustomerID][]Reading
	truth    []Episode
}

func record(t testing.TB, options PopulationOptions, span time.Duration) recordings {
	t.Helper()
	r := recordings{readings: map[heartbeat.CustomerID][]Reading{}}
	options.Truth = func(e Episode) { r.truth = append(r.truth, e) }
	simulate(t, options, span, func(reading Reading) {
		r.readings[reading.Customer] = append(r.readings[reading.Customer], reading)
	})
	return r
}

// within returns what a customer sends in [from, to).
func (r recordings) within(customer heartbeat.CustomerID, from, to time.Time) []Reading {
	var readings []Reading
	for _, reading := range r.readings[customer] {
		if !reading.Sent.Before(from) && reading.Sent.Before(to) {
			readings = append(readings, reading)
		}
	}
	return readings
}

// TestTruthIsComplete compares two populations of one seed, with and without episodes: a customer's readings may differ
// only where an episode says so.
func TestTruthIsComplete(t *testing.T) {
	t.Parallel()
	const span = 12 * time.Hour
	options := busy()
	options.Customers = 40
	with := record(t, options, span)
	options.Episodes = Rates{}
	without := record(t, options, span)
	if len(without.truth) > 0 {
		t.Fatalf("%d episodes without any rate", len(without.truth))
	}
	seen := map[Kind]int{}
	covered := map[heartbeat.CustomerID][]Episode{}
	for _, e := range with.truth {
		seen[e.Kind]++
		if e.Kind == LateUpload { // and its catching up
			kept := e.End.Sub(e.Onset)
			if e.Onset.Equal(at) { // under way, and kept for longer
				kept = time.Duration(courses[LateUpload].hold.most) * time.Second
			}
			e.End = e.End.Add(2*time.Second + kept/100)
		}
		if e.Customer != 0 {
			covered[e.Customer] = append(covered[e.Customer], e)
			continue
		}
		for customer := range with.readings { // who is hit is not in the truth
			covered[customer] = append(covered[customer], e)
		}
	}
	outside := func(readings []Reading, customer heartbeat.CustomerID) []Reading {
		return slices.DeleteFunc(slices.Clone(readings), func(r Reading) bool {
			return slices.ContainsFunc(covered[customer], func(e Episode) bool { return !r.Sent.Before(e.Onset) && r.Sent.Before(e.End) })
		})
	}
	for customer, readings := range without.readings {
		if !slices.Equal(outside(with.readings[customer], customer), outside(readings, customer)) {
			t.Errorf("the readings of %s outside of all episodes differ from those without episodes", customer)
		}
	}
	for _, kind := range Kinds() {
		if seen[kind] == 0 {
			t.Errorf("no %s in the truth", kind)
		}
	}
	if !slices.IsSortedFunc(with.truth, func(a, b Episode) int { return a.Onset.Compare(b.Onset) }) {
		t.Error("the truth is not ordered by onset")
	}
}

func TestEpisodesHaveTheRatesThatWereSet(t *testing.T) {
	t.Parallel()
	const days = 40
	options := people
	options.Customers, options.Interval, options.Episodes = 500, time.Hour, DefaultRates()
	counts := map[Kind]int{}
	for _, e := range record(t, options, days*day).truth {
		if e.Onset.After(at) {
			counts[e.Kind]++
		}
	}
	for kind, perDay := range options.Episodes {
		want := perDay * days
		if Kind(kind) != GatewayOutage {
			want *= float64(options.Customers)
		}
		if got := float64(counts[Kind(kind)]); math.Abs(got-want) > 0.03*want+3.5*math.Sqrt(want) {
			t.Errorf("%v of %s, want %.0f", got, Kind(kind), want)
		}
	}
}

// TestAFewOfTenThousandNeedSomebodyAtAnyTime holds the default rates to a fleet page with a handful of open alarms.
func TestAFewOfTenThousandNeedSomebodyAtAnyTime(t *testing.T) {
	t.Parallel()
	open := 0.0
	for _, kind := range []Kind{Tachycardia, Bradycardia} {
		open += 10_000 * DefaultRates()[kind] * meanSeconds(kind) / day.Seconds()
	}
	if open < 3 || open > 8 {
		t.Errorf("%.1f sustained episodes at a time, want 3 to 8", open)
	}
}

func TestCrossingIsWhereTheRiseMeetsTheLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plan plan
		from float64
		want time.Duration // -1: none
	}{
		"tachycardia":              {plan{kind: Tachycardia, onset: 10, rise: 30, level: 200.5}, 80.5, 35 * time.Second},
		"bradycardia":              {plan{kind: Bradycardia, onset: 10, rise: 30, level: 29.5}, 69.5, 32500 * time.Millisecond},
		"beyond before the rise":   {plan{kind: Bradycardia, onset: 10, rise: 30, level: 30}, 36, 10 * time.Second},
		"further than the level":   {plan{kind: Bradycardia, onset: 10, rise: 30, level: 30}, 20, 10 * time.Second},
		"exercise crosses nothing": {plan{kind: Exercise, onset: 10, rise: 30, level: 160}, 80, -1},
	} {
		got, ok := test.plan.crossing(test.from)
		if ok != (test.want >= 0) || ok && got != test.want {
			t.Errorf("%s: %v, %v; want %v", name, got, ok, test.want)
		}
	}
}

// TestExpectationsFollowTheInterval gives none where customers report too seldom for a condition to be seen.
func TestExpectationsFollowTheInterval(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]map[float64]Condition{
		DropOut:       {5: Silent, 60: Silent, 300: None, 5000: None},
		ArtefactBurst: {5: BadSignal, 20: BadSignal, 60: None},
		StuckValue:    {5: BadSignal, 60: None},
		Tachycardia:   {5: RateHigh, 300: RateHigh},
		Bradycardia:   {5: RateLow, 300: RateLow},
		Exercise:      {5: None},
		ClockAhead:    {5: None},
		CadenceLock:   {5: None},
	} {
		for interval, condition := range want {
			p := plan{kind: kind, end: 400}
			if kind == StuckValue {
				p.end = 900
			}
			if got := p.expected(interval); got != condition {
				t.Errorf("%s at an interval of %v s: %s is expected, want %s", kind, interval, got, condition)
			}
		}
	}
}

func TestTruthIsOneLineOfJSON(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Episode{
		`{"id":"16-42-3","customer_id":"CUST_00042","kind":"tachycardia","onset":"2026-02-20T10:00:00Z","crossing":"2026-02-20T10:00:25Z","end":"2026-02-20T10:05:00Z","peak":203,"expected_condition":"rate_high"}`: {
			ID: "16-42-3", Kind: Tachycardia, Customer: 42, Onset: at, Crossing: at.Add(25 * time.Second), End: at.Add(5 * time.Minute), Peak: 203, Expected: RateHigh,
		},
		`{"id":"16-0-1","kind":"gateway_outage","onset":"2026-02-20T10:00:00Z","end":"2026-02-20T10:05:00Z","share":0.3,"expected_condition":"outage"}`: {
			ID: "16-0-1", Kind: GatewayOutage, Onset: at, End: at.Add(5 * time.Minute), Share: 0.3, Expected: Outage,
		},
	} {
		line, err := json.Marshal(e)
		if err != nil || string(line) != want {
			t.Errorf("truth is %s, %v; want %s", line, err, want)
		}
		var back Episode
		if err := json.Unmarshal(line, &back); err != nil || back != e {
			t.Errorf("%s is read as %+v, %v", line, back, err)
		}
	}
	for _, line := range []string{`{"kind":"unknown"}`, `{"kind":"fever"}`, `[]`} {
		if err := json.Unmarshal([]byte(line), new(Episode)); err == nil {
			t.Errorf("%s is taken for truth", line)
		}
	}
}

func TestEpisodeIDsAreUnique(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	options := busy()
	options.Interval = time.Minute
	for _, e := range record(t, options, 12*time.Hour).truth {
		if ids[e.ID] {
			t.Errorf("two episodes have the id %s", e.ID)
		}
		ids[e.ID] = true
	}
}

func TestRatesAreParsed(t *testing.T) {
	t.Parallel()
	defaults := DefaultRates()
	change := func(rates Rates, changes map[Kind]float64) Rates {
		for kind, rate := range changes {
			rates[kind] = rate
		}
		return rates
	}
	for text, want := range map[string]Rates{
		"":                             defaults,
		" ":                            defaults,
		"none":                         {},
		"tachycardia=0.1":              change(defaults, map[Kind]float64{Tachycardia: 0.1}),
		"exercise=0, gateway_outage=5": change(defaults, map[Kind]float64{Exercise: 0, GatewayOutage: 5}),
		"none,fever=0.2,stuck_value=2": {Fever: 0.2, StuckValue: 2},
	} {
		got, err := ParseRates(text, defaults)
		if err != nil || got != want {
			t.Errorf("%q gives %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"tachycardia":         `"tachycardia": want KIND=NUMBER, such as tachycardia=0.1, or none at the start`,
		"fever=1,none":        `"none": want KIND=NUMBER, such as tachycardia=0.1, or none at the start`,
		"flu=1":               `unknown kind "flu": want one of exercise, tachycardia, bradycardia, brief_excursion, fever, artefact_burst, cadence_lock, stuck_value, drop_out, device_reset, duplicate, late_upload, clock_ahead, gateway_outage`,
		"exercise=-1":         "exercise=-1: want a number a day, 0 to 1000",
		"exercise=often":      "exercise=often: want a number a day, 0 to 1000",
		"exercise=NaN":        "exercise=NaN: want a number a day, 0 to 1000",
		"exercise=1001":       "exercise=1001: want a number a day, 0 to 1000",
		"none,exercise=100":   "the episodes of a customer would take 70.0 hours a day, with 15m0s after each: want at most 24",
		"gateway_outage=1000": "gateway_outage=1000: outages would take 350.0 hours a day, with 15m0s after each: want at most 24",
	} {
		if _, err := ParseRates(text, defaults); err == nil || err.Error() != want {
			t.Errorf("%q gives error %v, want %q", text, err, want)
		}
	}
}

func TestKindsHaveUniqueNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, kind := range Kinds() {
		names[kind.String()] = true
		if parsed, err := parseKind(kind.String()); err != nil || parsed != kind {
			t.Errorf("%s is parsed as %s, %v", kind, parsed, err)
		}
	}
	if len(names) != int(kinds) || names[""] {
		t.Errorf("names %v, want %d different ones", slices.Sorted(maps.Keys(names)), kinds)
	}
}
