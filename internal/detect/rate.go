package detect

import "heartbeat/internal/heartbeat"

// rateRule makes the two rate conditions one: values and limits multiplied by sign are beyond upwards.
type rateRule struct {
	condition Condition
	sign      int16
	margin    int16 // from the limit to the clear band
}

// sample is a good reading as the rate conditions see it.
type sample struct {
	at      Time
	runFrom Time // where a run that this reading begins has its start
	offset  int64
	reading int16
	newer   int16 // the two believed together with it, else 0
	older   int16
	value   int16 // what is held against the limits: the median, or the reading itself of a slow device
	needed  int   // good readings beyond the limit that raise
	slow    bool  // the device reports less often than once a minute
	follows bool  // within Confirm intervals of the good reading before
}

// stepRate takes a good reading into one rate condition.
func (d *Detector) stepRate(rule *rateRule, c *rateState, x sample, limit int16, out []Transition) []Transition {
	beyond := rule.sign * (x.value - limit)
	if c.phase == idle && c.since == 0 && c.cleared == 0 && beyond <= 0 {
		return out // nearly all readings
	}
	expire(&c.cleared, x.at, d.reopenWithin)
	if c.phase != idle && rule.sign*(x.value-c.peak) > 0 {
		c.peak = x.value
	}
	if c.phase == active {
		return d.clearRate(rule, c, x, limit, out)
	}
	if beyond <= 0 {
		c.since, c.count = 0, 0
		if c.phase == idle {
			c.peak = 0
		} else if beyond <= -rule.margin {
			// One reading raised it, so one that disagrees ends it.
			c.since = x.at
			return d.closeRate(rule, c, x, limit, out)
		}
		return out
	}
	return d.raiseRate(rule, c, x, limit, out)
}

// raiseRate takes a reading whose value is beyond the limit into a condition that is not confirmed.
func (d *Detector) raiseRate(rule *rateRule, c *rateState, x sample, limit int16, out []Transition) []Transition {
	if c.since == 0 {
		c.since = x.runFrom
	}
	for _, reading := range [...]int16{x.older, x.newer, x.reading} {
		if reading != 0 && rule.sign*(reading-limit) > 0 && c.count < 255 {
			c.count++
		}
	}
	if c.phase == idle && (c.peak == 0 || rule.sign*(x.value-c.peak) > 0) {
		c.peak = x.value
	}
	switch {
	case x.slow && c.phase == idle:
		return d.openRate(rule, c, x, limit, unconfirmed, out)
	case x.slow && x.follows && c.count >= 2:
		return d.confirmRate(rule, c, x, limit, out)
	case x.slow:
		c.since, c.count = x.at, 1 // too long after the first: this reading is a first one itself
	case int(c.count) >= x.needed && x.at-c.since >= d.onDelay && c.phase == idle:
		return d.openRate(rule, c, x, limit, active, out)
	case int(c.count) >= x.needed && x.at-c.since >= d.onDelay:
		return d.confirmRate(rule, c, x, limit, out)
	}
	return out
}

func (d *Detector) openRate(rule *rateRule, c *rateState, x sample, limit int16, now phase, out []Transition) []Transition {
	kind := Reopen
	if c.cleared == 0 {
		kind = Raise
	}
	c.cleared = 0
	c.phase = now
	t := c.transition(kind, rule, x, limit)
	t.Alarm = d.source.AlarmID(x.offset, rule.condition)
	out = append(out, t)
	if now == active {
		c.since, c.count = 0, 0
	}
	return out
}

func (d *Detector) confirmRate(rule *rateRule, c *rateState, x sample, limit int16, out []Transition) []Transition {
	c.phase = active
	out = append(out, c.transition(Worsen, rule, x, limit))
	c.since, c.count = 0, 0
	return out
}

// clearRate ends a confirmed alarm once the value has been inside the clear band for the off delay.
func (d *Detector) clearRate(rule *rateRule, c *rateState, x sample, limit int16, out []Transition) []Transition {
	if rule.sign*(x.value-limit) > -rule.margin {
		c.since = 0
		return out
	}
	if c.since == 0 {
		c.since = x.at
	}
	if x.at-c.since < d.offDelay {
		return out
	}
	return d.closeRate(rule, c, x, limit, out)
}

func (d *Detector) closeRate(rule *rateRule, c *rateState, x sample, limit int16, out []Transition) []Transition {
	out = append(out, c.transition(Clear, rule, x, limit))
	*c = rateState{cleared: x.at.seconds()}
	return out
}

func (c *rateState) transition(kind Kind, rule *rateRule, x sample, limit int16) Transition {
	return Transition{
		Condition: rule.condition, Kind: kind, Priority: c.phase.priority(rule.condition),
		Value: heartbeat.BPM(x.value), Peak: heartbeat.BPM(c.peak), Limit: heartbeat.BPM(limit),
		Since: c.since, At: x.at, Offset: x.offset,
	}
}
