package detect

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"heartbeat/internal/heartbeat"
)

func limit(id int64, change func(*Limit)) Limit {
	l := Limit{ID: id, Scope: Fleet, High: 170, From: start, Author: "nurse", Reason: "test"}
	change(&l)
	return l
}

func TestWrongLimitNamesFieldAndRange(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		change func(*Limit)
		want   string
	}{
		"low":            {func(l *Limit) { l.Low = 24 }, "25 to 60"},
		"low ":           {func(l *Limit) { l.Low = 61 }, "25 to 60"},
		"high":           {func(l *Limit) { l.High = 99 }, "100 to 230"},
		"high ":          {func(l *Limit) { l.High = 231 }, "100 to 230"},
		"low  ":          {func(l *Limit) { l.High = 0 }, "a low or a high limit"},
		"scope":          {func(l *Limit) { l.Scope = 0 }, "fleet, cohort or person"},
		"cohort":         {func(l *Limit) { l.Scope = Cohort }, "a name"},
		"customer":       {func(l *Limit) { l.Scope = Person }, "a customer"},
		"customer ":      {func(l *Limit) { l.Customer = 7 }, "only there"},
		"hours from":     {func(l *Limit) { l.Hours.From = 1440 }, "0 to 1439"},
		"hours to":       {func(l *Limit) { l.Hours.To = -1 }, "0 to 1439"},
		"hours to ":      {func(l *Limit) { l.Hours = Hours{From: 60, To: 60} }, "another minute"},
		"hours offset":   {func(l *Limit) { l.Hours = Hours{From: 60, To: 90, Offset: 841} }, "-840 to 840"},
		"effective from": {func(l *Limit) { l.From = 0 }, "1970"},
		"end":            {func(l *Limit) { l.Until = l.From }, "after effective from"},
		"author":         {func(l *Limit) { l.Author = "" }, "who"},
		"reason":         {func(l *Limit) { l.Reason = "" }, "why"},
	} {
		l := limit(1, c.change)
		_, err := NewLimitHistory(DefaultLimits(), []Limit{l}, nil)
		var refused *LimitError
		if !errors.As(err, &refused) || refused.Field != strings.TrimSpace(field) || !strings.Contains(refused.Want, c.want) {
			t.Errorf("%s: got %v, want that field refused with %q", field, err, c.want)
		}
	}
}

func TestRangesIncludeTheirEnds(t *testing.T) {
	t.Parallel()
	for _, l := range []Limits{{25, 100}, {60, 230}} {
		entry := limit(1, func(e *Limit) { e.Low, e.High = l.Low, l.High })
		if err := entry.Validate(); err != nil {
			t.Errorf("limits %v: %v", l, err)
		}
	}
}

func TestOverlappingHoursAreRefused(t *testing.T) {
	t.Parallel()
	night := limit(1, func(l *Limit) { l.Hours = Hours{From: 22 * 60, To: 6 * 60} })
	early := limit(2, func(l *Limit) { l.Hours = Hours{From: 5 * 60, To: 9 * 60}; l.From = start + minute })
	if _, err := NewLimitHistory(DefaultLimits(), []Limit{night, early}, nil); err == nil || !strings.Contains(err.Error(), "limit 1") {
		t.Errorf("hours 22–6 and 5–9 together: %v, want a refusal that names limit 1", err)
	}
	night.Until = early.From
	if _, err := NewLimitHistory(DefaultLimits(), []Limit{night, early}, nil); err != nil {
		t.Errorf("hours 5–9 after the end of 22–6: %v", err)
	}
}

// Not parallel: it counts allocations.
func TestNarrowerScopeWins(t *testing.T) {
	const anna, ben = heartbeat.CustomerID(1), heartbeat.CustomerID(2)
	midnight := Time(1_790_035_200) * second // 2026-09-22 00:00 UTC
	h, err := NewLimitHistory(DefaultLimits(), []Limit{
		limit(1, func(l *Limit) { l.From, l.High = midnight, 170 }),
		limit(2, func(l *Limit) { l.From, l.High, l.Low = midnight+60*minute, 175, 45 }),
		limit(3, func(l *Limit) { l.Scope, l.Cohort, l.From, l.High = Cohort, "athletes", midnight, 200 }),
		limit(4, func(l *Limit) { l.Scope, l.Customer, l.From, l.High, l.Low = Person, anna, midnight, 0, 35 }),
		limit(5, func(l *Limit) {
			l.Scope, l.Customer, l.From, l.High = Person, anna, midnight, 120
			l.Hours = Hours{From: 23 * 60, To: 6 * 60, Offset: 120}
		}),
		limit(6, func(l *Limit) {
			l.Scope, l.Customer, l.From, l.Until, l.High = Person, anna, midnight+600*minute, midnight+660*minute, 150
		}),
	}, []Member{{anna, "athletes", midnight + 30*minute}, {ben, "athletes", midnight}, {ben, "", midnight + 120*minute}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		customer heartbeat.CustomerID
		at       Time
		want     Limits
	}{
		{3, midnight - 1, Limits{40, 180}},
		{3, midnight, Limits{40, 170}},
		{3, midnight + 60*minute - 1, Limits{40, 170}},
		{3, midnight + 60*minute, Limits{45, 175}},
		{ben, midnight, Limits{40, 200}},
		{ben, midnight + 120*minute, Limits{45, 175}},
		{anna, midnight + 4*60*minute - 1, Limits{35, 120}}, // 05:59 where she lives
		{anna, midnight + 4*60*minute, Limits{35, 200}},
		{anna, midnight + 600*minute, Limits{35, 150}},
		{anna, midnight + 660*minute, Limits{35, 200}},
		{anna, midnight + 21*60*minute, Limits{35, 120}},
	} {
		if got := h.At(c.customer, c.at); got != c.want {
			t.Errorf("customer %d at midnight + %d min: %v, want %v", c.customer, (c.at-midnight)/minute, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { h.At(anna, midnight+21*60*minute) }); n != 0 {
		t.Errorf("a lookup allocates %v times, want 0", n)
	}
}

func TestLimitsAgreeWithPlainReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var entries []Limit
		for id := range rapid.Int64Range(0, 8).Draw(rt, "entries") {
			entries = append(entries, limit(id, func(l *Limit) {
				l.From = start + Time(rapid.IntRange(0, 20).Draw(rt, "from"))*minute
				if rapid.Bool().Draw(rt, "ends") {
					l.Until = l.From + Time(rapid.IntRange(1, 20).Draw(rt, "length"))*minute
				}
				l.Low = heartbeat.BPM(rapid.SampledFrom([]int{0, 30, 50}).Draw(rt, "low"))
				l.High = heartbeat.BPM(rapid.IntRange(100, 230).Draw(rt, "high"))
				if rapid.Bool().Draw(rt, "personal") {
					l.Scope, l.Customer = Person, 1
				}
			}))
		}
		h, err := NewLimitHistory(DefaultLimits(), entries, nil)
		if err != nil {
			rt.Fatal(err)
		}
		for at := range Time(42) {
			now := start + at*minute
			want := DefaultLimits()
			for _, scope := range []Scope{Fleet, Person} {
				for from := start; from <= now; from += minute { // later beginnings win, then later ids
					for _, l := range entries {
						if l.Scope == scope && l.From == from && (l.Until == 0 || now < l.Until) {
							if l.High = max(l.High, 0); l.High != 0 {
								want.High = l.High
							}
							if l.Low != 0 {
								want.Low = l.Low
							}
						}
					}
				}
			}
			if got := h.At(1, now); got != want {
				rt.Fatalf("minute %d: %v, want %v", at, got, want)
			}
		}
	})
}
