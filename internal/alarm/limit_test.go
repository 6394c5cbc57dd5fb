package alarm_test

import (
	"testing"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
)

// newYear10000 is in the year 9999 by its own offset.
var newYear10000 = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -14*60*60))

func TestLimitsOfAPersonAreChecked(t *testing.T) {
	t.Parallel()
	good := alarm.Limit{Scope: "person", Customer: "CUST_00042", Low: 50, High: 120, Author: "anna", Reason: "beta blocker"}
	for name, test := range map[string]struct {
		change func(*alarm.Limit)
		want   alarm.Code // empty: it is allowed
	}{
		"as it is":                {func(*alarm.Limit) {}, ""},
		"at night":                {func(l *alarm.Limit) { l.Hours, l.UTCOffset = "22:00-06:00", 120 }, ""},
		"of the fleet":            {func(l *alarm.Limit) { l.Scope, l.Customer = "fleet", "" }, ""},
		"low of 24":               {func(l *alarm.Limit) { l.Low = 24 }, alarm.LimitOutOfRange},
		"low of 61":               {func(l *alarm.Limit) { l.Low = 61 }, alarm.LimitOutOfRange},
		"high of 99":              {func(l *alarm.Limit) { l.High = 99 }, alarm.LimitOutOfRange},
		"high of 231":             {func(l *alarm.Limit) { l.High = 231 }, alarm.LimitOutOfRange},
		"neither low nor high":    {func(l *alarm.Limit) { l.Low, l.High = 0, 0 }, alarm.BadRequest},
		"no author":               {func(l *alarm.Limit) { l.Author = "" }, alarm.ActorRequired},
		"no reason":               {func(l *alarm.Limit) { l.Reason = " " }, alarm.ReasonRequired},
		"unknown scope":           {func(l *alarm.Limit) { l.Scope = "ward" }, alarm.BadRequest},
		"person without customer": {func(l *alarm.Limit) { l.Customer = "" }, alarm.BadRequest},
		"fleet with customer":     {func(l *alarm.Limit) { l.Scope = "fleet" }, alarm.BadRequest},
		"two lines of cohort":     {func(l *alarm.Limit) { l.Scope, l.Customer, l.Cohort = "cohort", "", "a\nb" }, alarm.BadRequest},
		"author with an escape":   {func(l *alarm.Limit) { l.Author = "anna\x1b[2J" }, alarm.BadRequest},
		"reason of two lines":     {func(l *alarm.Limit) { l.Reason = "a\r\n\tb" }, ""},
		"reason with an escape":   {func(l *alarm.Limit) { l.Reason = "a\x1b[2J" }, alarm.BadRequest},
		"reason that is no UTF-8": {func(l *alarm.Limit) { l.Reason = "a\xff" }, alarm.BadRequest},
		"begins in 10000 in UTC":  {func(l *alarm.Limit) { l.EffectiveFrom = newYear10000 }, alarm.BadRequest},
		"ends in 10000 in UTC":    {func(l *alarm.Limit) { l.EndsAt = newYear10000 }, alarm.BadRequest},
		"malformed customer":      {func(l *alarm.Limit) { l.Customer = "CUST_7" }, alarm.BadRequest},
		"malformed hours":         {func(l *alarm.Limit) { l.Hours = "22-6" }, alarm.BadRequest},
		"hours of no length":      {func(l *alarm.Limit) { l.Hours = "22:00-22:00" }, alarm.BadRequest},
		"end before beginning": {func(l *alarm.Limit) {
			l.EffectiveFrom, l.EndsAt = noon, noon.Add(-time.Hour)
		}, alarm.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := good
			test.change(&limit)
			err := limit.Check()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, test.want)
		})
	}
}

func TestHoursAreReadAndWritten(t *testing.T) {
	t.Parallel()
	hours, err := alarm.ParseHours("22:00-06:30", 60)
	if want := (detect.Hours{From: 1320, To: 390, Offset: 60}); err != nil || hours != want {
		t.Errorf("%+v, %v; want %+v", hours, err, want)
	}
	if text := alarm.FormatHours(hours.From, hours.To); text != "22:00-06:30" {
		t.Errorf("written as %q", text)
	}
}

func TestCursorIsReadBack(t *testing.T) {
	t.Parallel()
	want := alarm.Cursor{Priority: alarm.Medium, Acknowledged: true, RaisedAt: noon.Add(time.Microsecond), ID: alarm.ID{1, 2, 3}}
	if got, err := alarm.ParseCursor(want.String()); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{"", "x", "!!", want.String()[1:], want.String() + "AA"} {
		_, err := alarm.ParseCursor(text)
		wantCode(t, err, alarm.BadRequest)
	}
}
