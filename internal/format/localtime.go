package format

import (
	"time"

	"heartbeat/internal/heartbeat"
)

// localClock turns the local times of one file, in the file's order, into instants. When daylight saving ends, an hour occurs twice:
// its second occurrence begins where its first would run against the order of the file.
type localClock struct {
	zone       *time.Location
	last       time.Time
	descending bool // the newest reading stands first
}

// read reads a date and time without an offset, such as 2026-02-20T10:00:00.5.
func (c *localClock) read(text string) (time.Time, *heartbeat.Rejection) {
	wall, ok := heartbeat.ParseTimestamp(text + "Z")
	if !ok {
		return wall, reject(heartbeat.BadTimestamp, "the time is %s, want a date and time such as 2026-02-20T10:00:00", quote(text))
	}
	first, second, ok := occurrences(wall, c.zone)
	if !ok {
		return wall, reject(NoSuchTime, "%s does not occur in %s: daylight saving begins", text, c.zone)
	}
	at := first
	if c.descending && !second.After(c.last) || !c.descending && first.Before(c.last) {
		at = second
	}
	if !at.Equal(c.last) && !c.last.IsZero() {
		c.descending = at.Before(c.last)
	}
	c.last = at
	return at, nil
}

// occurrences returns when clocks of the zone show a time, given as if it were UTC: mostly once, so that both are equal.
func occurrences(wall time.Time, zone *time.Location) (first, second time.Time, ok bool) {
	for _, near := range [...]time.Duration{24 * time.Hour, -24 * time.Hour} {
		_, offset := wall.Add(near).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, there := at.In(zone).Zone(); there != offset {
			continue
		}
		switch {
		case !ok:
			first, second, ok = at, at, true
		case at.Before(first):
			first = at
		case at.After(second):
			second = at
		}
	}
	return first, second, ok
}
