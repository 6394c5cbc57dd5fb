package evaluate

import (
	"fmt"

	"heartbeat/internal/simulate"
)

// customersPerOperator is the fleet of 10,000 with 20 operators of alarms.md §1.
const customersPerOperator = 500

// Judged is the result of one variant. Urgent alarms are those of priority HIGH and MEDIUM.
type Judged struct {
	Name         string  `json:"name"`
	Title        string  `json:"title"`
	CustomerDays float64 `json:"customer_days"`

	FalseUrgent          Rate              `json:"false_urgent"`
	FalseLow             Rate              `json:"false_low"`
	Sensitivity          Share             `json:"sensitivity"` // of rate_high and rate_low together, as the next three
	PPV                  Share             `json:"ppv"`
	DelayP50             float64           `json:"delay_p50_seconds"`
	DelayP95             float64           `json:"delay_p95_seconds"`
	AlarmsPerOperatorDay float64           `json:"alarms_per_operator_day"`
	Flaps                Rate              `json:"flaps"` // reopenings
	Conditions           []ConditionResult `json:"conditions"`
}

// ConditionResult is what a variant is worth for one condition.
type ConditionResult struct {
	Condition         simulate.Condition `json:"condition"`
	Alarms            int                `json:"alarms"`
	False             Rate               `json:"false"`
	FalseUrgent       Rate               `json:"false_urgent"`
	Repeated          int                `json:"repeated"` // of the false ones, in an episode that had its alarm
	Sensitivity       Share              `json:"sensitivity"`
	UrgentSensitivity Share              `json:"urgent_sensitivity"`
	PPV               Share              `json:"ppv"`
	DelayP50          float64            `json:"delay_p50_seconds"`
	DelayP95          float64            `json:"delay_p95_seconds"`
	Flaps             Rate               `json:"flaps"`
}

// Count is a number of alarms of one condition.
type Count struct {
	Condition simulate.Condition `json:"condition"`
	Alarms    int                `json:"alarms"`
}

// KindResult is what the detector made of one kind of episode.
type KindResult struct {
	Kind     string  `json:"kind"`
	Episodes int     `json:"episodes"`
	Found    Share   `json:"found"` // of those that should cause an alarm
	Days     float64 `json:"days"`  // that these episodes take together
	False    []Count `json:"false"` // alarms during them that should not be
}

// result sums up. The title is for people.
func (t *score) result(name, title string) Judged {
	days := t.judged.days()
	j := Judged{Name: name, Title: title, CustomerDays: days}
	var rates conditionScore
	falseAlarms, falseUrgent, all, reopened := 0, 0, 0, 0
	for i, condition := range Conditions {
		c := &t.conditions[i]
		j.Conditions = append(j.Conditions, c.result(condition, days))
		falseAlarms, falseUrgent = falseAlarms+c.falseAlarms, falseUrgent+c.falseUrgent
		all, reopened = all+c.alarms, reopened+c.reopened
		if condition == simulate.BadSignal {
			continue
		}
		rates.episodes, rates.found, rates.alarms = rates.episodes+c.episodes, rates.found+c.found, rates.alarms+c.alarms
		rates.delays = append(rates.delays, c.delays...)
	}
	j.FalseUrgent, j.FalseLow = rateOf(falseUrgent, days), rateOf(falseAlarms-falseUrgent, days)
	j.Sensitivity, j.PPV = shareOf(rates.found, rates.episodes), shareOf(rates.found, rates.alarms)
	j.DelayP50, j.DelayP95 = percentile(rates.delays, 0.5), percentile(rates.delays, 0.95)
	j.AlarmsPerOperatorDay = rateOf(all, days).PerDay * customersPerOperator
	j.Flaps = rateOf(reopened, days)
	return j
}

func (c *conditionScore) result(condition simulate.Condition, days float64) ConditionResult {
	return ConditionResult{
		Condition: condition, Alarms: c.alarms, False: rateOf(c.falseAlarms, days), FalseUrgent: rateOf(c.falseUrgent, days),
		Repeated: c.repeated, Sensitivity: shareOf(c.found, c.episodes), UrgentSensitivity: shareOf(c.foundUrgent, c.episodes),
		PPV: shareOf(c.found, c.alarms), DelayP50: percentile(c.delays, 0.5), DelayP95: percentile(c.delays, 0.95),
		Flaps: rateOf(c.reopened, days),
	}
}

func kindResults(t *score) []KindResult {
	var results []KindResult
	for kind := range t.kinds {
		k := &t.kinds[kind]
		if k.lasted == 0 {
			continue
		}
		results = append(results, KindResult{
			Kind: simulate.Kind(kind).String(), Episodes: k.episodes, Found: shareOf(k.found, k.expected), Days: k.lasted.days(),
			False: counts(k.falseAlarms),
		})
	}
	return results
}

func counts(of [conditionCount]int) []Count {
	list := make([]Count, conditionCount)
	for i, condition := range Conditions {
		list[i] = Count{condition, of[i]}
	}
	return list
}

// Target is a required figure and what was measured.
type Target struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
}

// What alarms.md §7 wants at an interval of 5 s.
const (
	mostFalseUrgent  = 0.05 // a customer-day
	leastSensitivity = 0.99
	mostDelay        = 35 // seconds, p95
	mostAfterLimit   = 5  // seconds
	leastLost        = 5  // customers who are no outage if they are fewer
)

// targets compares point estimates: the intervals stand beside them.
func (r *Result) targets() []Target {
	d := &r.Detector
	targets := []Target{{
		Name: "false HIGH and MEDIUM alarms per customer-day", Want: fmt.Sprintf("≤ %v", mostFalseUrgent),
		Got: fmt.Sprintf("%.3f", d.FalseUrgent.PerDay), Met: d.FalseUrgent.PerDay <= mostFalseUrgent,
	}}
	if d.Sensitivity.Of > 0 {
		targets = append(targets, d.rateTargets()...)
	}
	return append(targets, r.Silence.targets()...)
}

func (d *Judged) rateTargets() []Target {
	return []Target{{
		Name: "sensitivity to `rate_high` and `rate_low`", Want: fmt.Sprintf("≥ %v", leastSensitivity),
		Got: fmt.Sprintf("%.4f", d.Sensitivity.Share), Met: d.Sensitivity.Share >= leastSensitivity,
	}, {
		Name: "raised after the crossing of the limit, p95", Want: fmt.Sprintf("≤ %d s", mostDelay),
		Got: fmt.Sprintf("%.1f s", d.DelayP95), Met: d.DelayP95 <= mostDelay,
	}}
}

// targets leave out what the fleet had none of.
func (s *SilenceResult) targets() (targets []Target) {
	if s.Silent.Sensitivity.Of > 0 {
		targets = append(targets, Target{
			Name: "silence found after the customer's limit, at most", Want: fmt.Sprintf("≤ %d s", mostAfterLimit),
			Got: fmt.Sprintf("%.1f s", s.Silent.AfterLimit), Met: s.Silent.AfterLimit <= mostAfterLimit && s.Silent.Sensitivity.Count > 0,
		})
	}
	if l := s.Lost; l.Customers >= leastLost {
		targets = append(targets, Target{
			Name: fmt.Sprintf("alarms when %d %% of the fleet are lost at once", lostShare), Want: "1 `outage`, no `silent`",
			Got: fmt.Sprintf("%d `outage`, %d `silent`", l.Outages, l.Personal), Met: l.Outages == 1 && l.Personal == 0 && l.Ended >= 0,
		})
	}
	return targets
}
