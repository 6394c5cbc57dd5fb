package evaluate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/simulate"
)

// recorded writes a fleet's readings as a file, the episodes of heart rates as labels.
func recorded(t *testing.T, labels bool) (file string, episodes int) {
	t.Helper()
	fleet := contract(5, 12*time.Hour)
	fleet.Episodes = simulate.Rates{simulate.Tachycardia: 5, simulate.Bradycardia: 5}
	options := fleet.population(0)
	options.Shards = 0 // all
	current := map[string]simulate.Episode{}
	options.Truth = func(e simulate.Episode) {
		current[e.Customer.String()] = e
		episodes++
	}
	population, err := simulate.NewPopulation(options)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("time,customer,bpm")
	if labels {
		b.WriteString(",label")
	}
	for reading := range population.Readings() {
		if !reading.Sent.Before(fleetStart.Add(fleet.Duration)) {
			break
		}
		fmt.Fprintf(&b, "\n%s,%s,%d", reading.Time.Format(time.RFC3339Nano), reading.Customer, reading.Rate)
		if e := current[reading.Customer.String()]; labels {
			b.WriteString(",")
			if !reading.Time.Before(e.Onset) && reading.Time.Before(e.End) {
				b.WriteString(string(e.Expected))
			}
		}
	}
	return b.String(), episodes
}

func TestRecordingsAreJudgedByTheirLabels(t *testing.T) {
	t.Parallel()
	file, episodes := recorded(t, true)
	r, err := Readings(t.Context(), strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if r.Detector.Sensitivity.Of < episodes-5 || r.Detector.Sensitivity.Of > episodes || r.Detector.Sensitivity.Share < 0.9 {
		t.Errorf("found %+v of %d episodes", r.Detector.Sensitivity, episodes)
	}
	if r.Detector.FalseUrgent.Count > 3 || r.Rule.FalseUrgent.PerDay < 500 {
		t.Errorf("false: %+v, by the rule %+v", r.Detector.FalseUrgent, r.Rule.FalseUrgent)
	}
	if len(r.People) != 5 || r.Readings != strings.Count(file, "\n") || r.Days < 2.4 || r.Days > 2.5 {
		t.Errorf("%d people with %d readings in %.2f days", len(r.People), r.Readings, r.Days)
	}
	for i := range r.People[1:] {
		if r.People[i].AlarmsPerDay < r.People[i+1].AlarmsPerDay {
			t.Errorf("%+v stands before %+v", r.People[i], r.People[i+1])
		}
	}
}

func TestRecordingsNeedNoLabels(t *testing.T) {
	t.Parallel()
	file, _ := recorded(t, false)
	r, err := Readings(t.Context(), strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if r.Detector != nil || r.People[0].AlarmsPerDay == 0 || strings.Contains(table.String(), "LABELLED") {
		t.Errorf("without labels: %+v\n%s", r, table.String())
	}
}

func TestRecordingsInSecondsAndOutOfOrder(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("Customer,Time,BPM\n")
	for i := range 60 {
		fmt.Fprintf(&b, "anna,%d.5,%d\nben,%d,75.4\n", 1_750_000_000+5*i, 190+i%3, 1_750_000_000+5*i)
	}
	b.WriteString("ben,1750000001,75\nben,1750007200,75\n")
	r, err := Readings(t.Context(), strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if r.NotNewer != 1 || r.Readings != 122 {
		t.Errorf("%d of %d readings are not newer, want 1 of 122", r.NotNewer, r.Readings)
	}
	if anna := r.People[0]; anna.Customer != "anna" || anna.Alarms[0].Alarms != 1 || anna.Readings != 60 {
		t.Errorf("anna has %+v", anna)
	}
	if days := r.People[1].Days; days < 895.0/86400 || days > 896.0/86400 {
		t.Errorf("ben was recorded for %v days, want 295 s and 10 min of the gap", days)
	}
}

func TestWrongRecordingIsNamed(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"":                                    "the file is empty: want a header such as customer,time,bpm",
		"customer,time\n":                     "line 1 has no column bpm: want a header such as customer,time,bpm or customer,time,bpm,label",
		"customer,time,bpm\n,1,70\n":          "line 2: the customer is empty",
		"customer,time,bpm\na,yesterday,70\n": `line 2: time "yesterday": want such as 2026-02-20T10:00:00Z or seconds since 1970`,
		"customer,time,bpm\na,1,70\na,2,fast": `line 3: bpm "fast": want a number`,
		"customer,time,bpm\na,1,NaN":          `line 2: bpm "NaN": want a number`,
		"customer,time,bpm\na,1":              "record on line 2: wrong number of fields",
		"customer,time,bpm,label\na,1,70,run": `line 2: label "run": want nothing or one of [rate_high rate_low bad_signal]`,
	} {
		if _, err := Readings(t.Context(), strings.NewReader(file)); err == nil || err.Error() != want {
			t.Errorf("%q gives error %v, want %q", file, err, want)
		}
	}
}
