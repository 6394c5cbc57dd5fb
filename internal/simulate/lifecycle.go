package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// never is a second that no simulation reaches: 136 years.
const never = math.MaxUint32

// changeEpisode ends the current episode of a customer, or begins the next.
func (p *Population) changeEpisode(i int) {
	c := &p.customers[i]
	c.episodes++
	if c.episodes&1 == 0 {
		delete(p.active, i)
		p.scheduleEpisode(i, int64(c.change))
		return
	}
	episode := drawPlan(p.episodeRandom(i), p.options.Episodes, int64(c.change))
	p.pending = append(p.pending, p.truth(i, &episode))
	p.active[i] = &episode
	c.change = second(episode.end)
}

// scheduleEpisode draws the onset of the next episode of a customer whose last one has ended then.
func (p *Population) scheduleEpisode(i int, ended int64) {
	c, rates := &p.customers[i], p.options.Episodes
	c.change = never
	if perDay := rates.perCustomer(); perDay > 0 {
		c.change = second(ended + pause(p.episodeRandom(i), perDay, rates.busy()))
	}
}

// episodeRandom returns the random sequence of what comes next in a customer's episodes. It does not depend on the
// customer's readings, so that a seed gives the same episodes at every interval and with every injection.
func (p *Population) episodeRandom(i int) *rand.Rand {
	return rand.New(rand.NewPCG(mix(p.seed+uint64(p.id(i))), mix(uint64(p.customers[i].episodes))))
}

func second(s int64) uint32 { return uint32(min(s, never)) }

// truth describes what of an episode falls into the simulated time: one that is under way at the start begins there.
func (p *Population) truth(i int, episode *plan) Episode {
	end := episode.end
	if episode.kind == LateUpload {
		end = episode.held()
	}
	seen := *episode
	seen.onset = max(seen.onset, 0)
	expected := seen.expected(p.options.Interval.Seconds())
	if expected == Silent && episode.onset < 0 {
		expected = None // a customer who was never heard cannot turn silent
	}
	told := Episode{
		ID:       episodeID(p.options.Seed, uint64(p.id(i)), uint64(p.customers[i].episodes/2)+1),
		Kind:     episode.kind,
		Customer: p.id(i),
		Onset:    p.options.Start.Add(time.Duration(seen.onset) * time.Second),
		End:      p.options.Start.Add(time.Duration(end) * time.Second),
		Peak:     episode.peak(&p.customers[i].body),
		Expected: expected,
	}
	if crossing, ok := episode.crossing(p.natural(i)); ok {
		told.Crossing = p.options.Start.Add(max(crossing, 0))
	}
	return told
}

// report hands over the episodes that have begun when a reading is sent.
func (p *Population) report(sent int64) {
	if len(p.pending) == 0 {
		return
	}
	now, begun := p.options.Start.Add(time.Duration(sent)), 0
	for begun < len(p.pending) && !p.pending[begun].Onset.After(now) {
		if p.options.Truth != nil {
			p.options.Truth(p.pending[begun])
		}
		begun++
	}
	if p.pending = p.pending[begun:]; len(p.pending) == 0 {
		p.pending = nil // at the start there are far more than later
	}
}
