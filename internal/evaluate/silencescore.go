package evaluate

import (
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
)

// clockScore counts what the alarms of one condition are worth.
type clockScore struct {
	episodes, found, alarms, falseAlarms int
	delays, ended                        []float32
	late                                 detect.Time
}

func (c *clockScore) result(condition simulate.Condition, days float64) ClockResult {
	return ClockResult{
		Condition: condition, Sensitivity: shareOf(c.found, c.episodes), Alarms: c.alarms, False: rateOf(c.falseAlarms, days),
		DelayP50: percentile(c.delays, 0.5), DelayP95: percentile(c.delays, 0.95), AfterLimit: float64(c.late) / 1e6,
		EndedP50: percentile(c.ended, 0.5), EndedP95: percentile(c.ended, 0.95),
	}
}

// silences are the episodes in which a customer is not heard.
var silences = map[simulate.Kind]bool{simulate.DropOut: true, simulate.LateUpload: true, simulate.DeviceReset: true}

// judge matches alarms with episodes, as score.judge does for those of readings. A customer who is not heard is silent, so an alarm in an
// episode that is too short to expect one is no false alarm, and neither is one beside an outage that was not found.
func (s *silenceRun) judge() *SilenceResult {
	over := s.fleet.period()
	own, outages := map[heartbeat.CustomerID][]window{}, []window{}
	for i := range s.episodes {
		e := &s.episodes[i]
		w := newWindow(over, e)
		w.expects, w.end = e.Expected == simulate.Silent || e.Expected == simulate.Outage, detect.TimeOf(e.End)
		switch {
		case e.Kind == simulate.GatewayOutage:
			outages = append(outages, w)
		case silences[e.Kind]:
			own[e.Customer] = append(own[e.Customer], w)
		}
	}
	r := &SilenceResult{}
	days := over.length().days()
	r.Outage = s.judgeOutages(outages).result(simulate.Outage, days)
	var silent clockScore
	for i := range s.silences {
		s.judgeSilence(r, &silent, own[s.silences[i].customer], outages, &s.silences[i])
	}
	s.countSilences(r, &silent, own)
	r.Silent = silent.result(simulate.Silent, days*float64(s.fleet.Customers))
	return r
}

func (s *silenceRun) judgeOutages(episodes []window) *clockScore {
	c := &clockScore{}
	for i := range s.outages {
		found := &s.outages[i]
		w := windowAt(episodes, found.raised)
		if w != nil && w.cut {
			continue
		}
		c.alarms++
		if w == nil || w.hit || !w.expects {
			c.falseAlarms++
			continue
		}
		w.hit = true
		c.delays = append(c.delays, float32(float64(found.raised-w.onset)/1e6))
		if found.ended != 0 {
			c.ended = append(c.ended, float32(float64(found.ended-w.end)/1e6))
		}
	}
	for i := range episodes {
		if w := &episodes[i]; w.expects && !w.cut {
			c.episodes++
			if w.hit {
				c.found++
			}
		}
	}
	return c
}

func (s *silenceRun) judgeSilence(r *SilenceResult, c *clockScore, own, outages []window, found *foundSilence) {
	w := windowAt(own, found.at)
	if w != nil && w.cut {
		return
	}
	c.alarms++
	if !found.held {
		c.late = max(c.late, found.late)
	}
	switch {
	case w != nil && w.expects && !w.hit:
		w.hit = true
		c.delays = append(c.delays, float32(float64(found.at-w.onset)/1e6))
	case w != nil && !w.expects:
		r.Short++
	case w == nil && windowAt(outages, found.at) != nil:
		r.Beside++
	default:
		c.falseAlarms++
	}
}

// countSilences counts the episodes in which a customer should be found silent.
func (s *silenceRun) countSilences(r *SilenceResult, c *clockScore, own map[heartbeat.CustomerID][]window) {
	var expected, found [2]int
	kinds := [...]simulate.Kind{simulate.DropOut, simulate.LateUpload}
	for _, windows := range own {
		for i := range windows {
			w := &windows[i]
			if !w.expects || w.cut {
				continue
			}
			if !w.hit && s.heldBack(w) {
				r.Held++
				continue
			}
			c.episodes++
			kind := 0
			if w.kind == kinds[1] {
				kind = 1
			}
			expected[kind]++
			if w.hit {
				c.found++
				found[kind]++
			}
		}
	}
	for i, kind := range kinds {
		r.Kinds = append(r.Kinds, ClockKind{kind.String(), shareOf(found[i], expected[i])})
	}
}

// heldBack reports whether an outage was active during an episode.
func (s *silenceRun) heldBack(w *window) bool {
	for _, outage := range s.outages {
		if outage.raised <= w.until && (outage.ended == 0 || outage.ended >= w.onset) {
			return true
		}
	}
	return false
}

func windowAt(windows []window, at detect.Time) *window {
	for i := range windows {
		if w := &windows[i]; w.onset <= at && at <= w.until {
			return w
		}
	}
	return nil
}
