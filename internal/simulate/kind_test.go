package simulate

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
)

func only(kind Kind, perDay float64) PopulationOptions {
	options := people
	options.Customers, options.Interval = 30, time.Second
	options.Episodes[kind] = perDay
	return options
}

// TestEpisodesOfEachKind looks at the readings inside the episodes of one kind at a time.
func TestEpisodesOfEachKind(t *testing.T) {
	t.Parallel()
	beyond := func(readings []Reading, is func(heartbeat.BPM) bool) (first, last, count int) {
		first = -1
		for i, r := range readings {
			if is(r.Rate) {
				if first < 0 {
					first = i
				}
				last = i
				count++
			}
		}
		return first, last, count
	}
	high := func(rate heartbeat.BPM) bool { return rate > 180 }
	low := func(rate heartbeat.BPM) bool { return rate < 40 }
	sustained := func(t *testing.T, e Episode, readings []Reading, is func(heartbeat.BPM) bool, expected Condition) {
		first, last, count := beyond(readings, is)
		if first < 0 || last-first < 120 || last-first > 660 || count < (last-first)*98/100 {
			t.Errorf("%d readings beyond the limit from second %d to %d, want 2 min and more without a break", count, first, last)
		}
		if first > 30 || len(readings)-last > 32 {
			t.Errorf("the limit is crossed at seconds %d and %d of %d, want ramps of 30 s", first, last, len(readings))
		}
		if e.Expected != expected {
			t.Errorf("%s is expected, want %s", e.Expected, expected)
		}
	}
	none := func(t *testing.T, e Episode, readings []Reading) {
		if len(readings) > 0 {
			t.Errorf("%d readings of %s are sent in a silence", len(readings), e.Customer)
		}
	}
	rates := func(readings []Reading) []heartbeat.BPM {
		all := make([]heartbeat.BPM, len(readings))
		for i, r := range readings {
			all[i] = r.Rate
		}
		return all
	}
	checks := map[Kind]func(t *testing.T, e Episode, readings []Reading, r recordings){
		Exercise: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			most := slices.Max(rates(readings))
			if most < e.Peak || most > mostExercise || slices.Min(rates(readings)) < 40 || e.Peak < 120 || e.Peak > 165 || e.Expected != None {
				t.Errorf("rates up to %d, peak %d, expected %s; want the peak, below 180, and no alarm", most, e.Peak, e.Expected)
			}
		},
		Tachycardia: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			sustained(t, e, readings, high, RateHigh)
		},
		Bradycardia: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			sustained(t, e, readings, low, RateLow)
			if slices.Min(rates(readings)) < 1 {
				t.Error("a bradycardia is invalid")
			}
		},
		BriefExcursion: func(t *testing.T, e Episode, readings []Reading, r recordings) {
			around := r.within(e.Customer, e.Onset.Add(-time.Minute), e.End.Add(time.Minute))
			first, last, count := beyond(around, func(rate heartbeat.BPM) bool { return high(rate) || low(rate) })
			if first < 0 || count < 4 || around[last].Time.Sub(around[first].Time) >= 15*time.Second || e.Expected != None {
				t.Errorf("%d readings beyond a limit within %v, expected %s; want 5 to 14 s and no alarm",
					count, around[last].Time.Sub(around[first].Time), e.Expected)
			}
		},
		ArtefactBurst: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			zeros := 0
			for _, r := range readings {
				if r.Rate == 0 {
					zeros++
				}
			}
			if distinct := len(slices.Compact(slices.Sorted(slices.Values(rates(readings))))); distinct < 50 || zeros < len(readings)/10 || e.Expected != BadSignal {
				t.Errorf("%d distinct rates, %d of %d zero, expected %s; want noise and bad_signal", distinct, zeros, len(readings), e.Expected)
			}
		},
		CadenceLock: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			if slices.Min(rates(readings)) < e.Peak-1 || slices.Max(rates(readings)) > e.Peak+1 || e.Expected != None {
				t.Errorf("rates from %d to %d, want %d ± 1", slices.Min(rates(readings)), slices.Max(rates(readings)), e.Peak)
			}
		},
		StuckValue: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			if slices.Min(rates(readings)) != slices.Max(rates(readings)) || e.End.Sub(e.Onset) < 10*time.Minute || e.Expected != BadSignal {
				t.Errorf("rates from %d to %d in %v, want one value", slices.Min(rates(readings)), slices.Max(rates(readings)), e.End.Sub(e.Onset))
			}
		},
		DropOut: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			none(t, e, readings)
			if e.Expected != Silent {
				t.Errorf("%s is expected, want silent", e.Expected)
			}
		},
		DeviceReset: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			if len(readings) == 0 || slices.Max(rates(readings)) != 0 || slices.Min(rates(readings)) != 0 || readings[0].Sent.Sub(e.Onset) < 20*time.Second {
				t.Errorf("%d readings, want silence and then zeros", len(readings))
			}
		},
		Duplicate: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			if len(readings)%2 != 0 || len(readings) < 2 {
				t.Fatalf("%d readings, want each twice", len(readings))
			}
			for i := 0; i < len(readings); i += 2 {
				if readings[i] != readings[i+1] {
					t.Errorf("reading %d is sent once", i)
				}
			}
		},
		LateUpload: func(t *testing.T, e Episode, readings []Reading, r recordings) {
			none(t, e, readings)
			hold := e.End.Sub(e.Onset)
			late := slices.DeleteFunc(r.within(e.Customer, e.End, e.End.Add(time.Second+hold/100)), func(r Reading) bool { return !r.Time.Before(e.End) })
			if len(late) < int(hold/time.Second)-2 {
				t.Errorf("%d readings are sent late, want one a second of %v", len(late), hold)
			}
			if !slices.IsSortedFunc(late, func(a, b Reading) int { return a.Time.Compare(b.Time) }) {
				t.Error("late readings are not sent in order")
			}
			if e.Expected != Silent {
				t.Errorf("%s is expected, want silent", e.Expected)
			}
		},
		ClockAhead: func(t *testing.T, e Episode, readings []Reading, _ recordings) {
			for _, r := range readings {
				if ahead := r.Time.Sub(r.Sent).Round(time.Second); ahead < 2*time.Minute || ahead > 9*time.Minute {
					t.Fatalf("clock is %v ahead, want 2 to 9 min", ahead)
				}
			}
		},
	}
	for kind, check := range checks {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			const span = 3 * time.Hour
			options := only(kind, 10)
			options.Customers = 12
			r := record(t, options, span)
			n := 0
			for _, e := range r.truth {
				if e.Onset.Equal(at) || e.End.After(at.Add(span-2*time.Minute)) { // not whole
					continue
				}
				n++
				if e.Kind != kind {
					t.Fatalf("%s in a population that has only %s", e.Kind, kind)
				}
				check(t, e, r.within(e.Customer, e.Onset, e.End), r)
			}
			if n < 5 {
				t.Errorf("%d whole episodes in %v, want some", n, span)
			}
		})
	}
}

// TestExerciseRisesAndRecovers compares each exercise with the same time of the same person at rest.
func TestExerciseRisesAndRecovers(t *testing.T) {
	t.Parallel()
	const span = 6 * time.Hour
	options := only(Exercise, 10)
	with := record(t, options, span)
	options.Episodes = Rates{}
	without := record(t, options, span)
	n := 0
	for _, e := range with.truth {
		if e.Onset.Equal(at) || e.End.After(at.Add(span)) { // not whole
			continue
		}
		// rise is how far the person is above the rate at rest, as a share of the way to the peak.
		rise := func(from, to time.Time) float64 {
			moved, way := 0.0, 0.0
			active, rest := with.within(e.Customer, from, to), without.within(e.Customer, from, to)
			for i := range active {
				moved += float64(active[i].Rate - rest[i].Rate)
				way += float64(e.Peak - rest[i].Rate)
			}
			return moved / way
		}
		if rest := without.within(e.Customer, e.Onset, e.End); e.Peak < slices.MaxFunc(rest, func(a, b Reading) int { return cmp.Compare(a.Rate, b.Rate) }).Rate+20 {
			continue // a rate that is high at rest
		}
		n++
		begin, middle, end := rise(e.Onset, e.Onset.Add(8*time.Second)), rise(e.Onset.Add(time.Minute), e.End.Add(-90*time.Second)), rise(e.End.Add(-8*time.Second), e.End)
		if begin < 0 || begin > 0.4 || middle < 0.85 || middle > 1.15 || end < 0 || end > 0.3 {
			t.Errorf("the rate of %s is %.2f of the way at first, %.2f after a minute, and %.2f at the end; want a rise within 30 to 60 s and a recovery within 60 to 90 s", e.Customer, begin, middle, end)
		}
	}
	if n < 10 {
		t.Errorf("%d whole exercises, want some", n)
	}
}

func TestFeverRaisesTheRateForDays(t *testing.T) {
	t.Parallel()
	const span = 7 * day
	options := only(Fever, 0.2)
	options.Interval = 2 * time.Minute
	with := record(t, options, span)
	options.Episodes = Rates{}
	without := record(t, options, span)
	n := 0
	for _, e := range with.truth {
		if e.Onset.Equal(at) || e.End.After(at.Add(span)) { // not whole
			continue
		}
		n++
		from, to := e.Onset.Add(2*time.Hour), e.End.Add(-2*time.Hour)
		sick, well := with.within(e.Customer, from, to), without.within(e.Customer, from, to)
		rise := 0.0
		for i := range sick {
			rise += float64(sick[i].Rate-well[i].Rate) / float64(len(sick))
		}
		if rise < 7 || rise > 15.5 || to.Sub(from) < day || e.Expected != None {
			t.Errorf("rise of %.1f bpm for %v, expected %s; want 8 to 15 for a day or more and no alarm", rise, to.Sub(from), e.Expected)
		}
	}
	if n < 5 {
		t.Errorf("%d whole fevers, want some", n)
	}
}

func TestGatewayOutageSilencesAShareOfTheFleet(t *testing.T) {
	t.Parallel()
	options := only(GatewayOutage, 24)
	options.Customers, options.Interval = 500, 20*time.Second
	r := record(t, options, 6*time.Hour)
	if len(r.truth) < 2 {
		t.Fatalf("%d outages, want some", len(r.truth))
	}
	for _, e := range r.truth {
		silent := 0
		for customer := range r.readings {
			if len(r.within(customer, e.Onset, e.End)) == 0 {
				silent++
			}
		}
		checkShare(t, "customers of the gateway "+e.ID, silent, options.Customers, e.Share)
		if e.Share < 0.1 || e.Share > 0.4 || e.Expected != Outage || e.Customer != 0 {
			t.Errorf("outage %+v: want a tenth to four tenths of the fleet, expected as outage", e)
		}
	}
}
