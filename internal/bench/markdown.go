package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the report as a document. The command is the one that measured.
func (r *Report) WriteMarkdown(w io.Writer, command string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Performance\n\nWhat `%s` wrote on %s, in %.0f minutes. Run it to have the figures of your own machine.\n\n",
		command, r.StartedAt.Format("2006-01-02 15:04 UTC"), r.Seconds/60)
	for _, line := range r.Surroundings.lines() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "\n| target | want | measured | met |\n|---|---|---|---|\n")
	for _, target := range r.Targets {
		met := "no"
		if target.Met {
			met = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", target.Name, target.Want, target.Got, met)
	}
	r.describe(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// describe writes each table that was measured, and what bounds its figures.
func (r *Report) describe(b *strings.Builder) {
	section := func(title string, measured bool, table func(io.Writer), text string) {
		if measured {
			fmt.Fprintf(b, "\n## %s\n\n```text\n", title)
			aligned(b, table)
			fmt.Fprintf(b, "```\n\n%s\n", text)
		}
	}
	section("Drain, limit and produce", len(r.Drain.PerSecond.Rounds) > 0, r.writeRates, r.aboutRates())
	section("Latency at a steady rate", len(r.Steady) > 0, r.writeSteady, r.aboutSteady())
	section("Growth", len(r.Growth) > 0, r.writeGrowth, aboutGrowth)
	section("Many customers, and backfill", r.BigFleet != nil || r.Backfill != nil, r.writeRest, aboutRest)
}

// aboutRates says what bounds the drain, by the processor's time that this run has measured.
func (r *Report) aboutRates() string {
	usage := r.Drain.Usage
	share := func(of float64) float64 { return 100 * of / max(usage.total(), 1e-9) }
	return fmt.Sprintf(`**Limit** is COPY in binary of the same rows into the same tables with their checks and indexes: readings, anomalies and
alerts, encoded beforehand, one session for each partition, transactions of as many readings as the consumer's. It is bound by the
processor: PostgreSQL takes %.1f µs for a row in the order of arrival and %.1f µs for a sorted one, of which the customer index is
more than half. Sorting lets neighbours in the index share their pages.

**Drain** is the consumer's own process, from a full topic to tables whose rows were counted afterwards. On %d cores that
everything shares it is bound by the processor, too. PostgreSQL has %.0f %% of it, the consumer %.0f %% (reading
from Kafka and decompressing, decoding and checking JSON, sorting and encoding), the broker %.0f %%. Exactly-once costs a row of progress for each
transaction; rollups cost one row a minute and partition, the states of customers 1,000 rows a second and partition at most.
Consumer and broker use cores that bare COPY has to itself: with PostgreSQL doing just what it does in the sorted limit, the ratio
by the processor's time would be %.2f; it is %.2f.

**Produce** is the simulator's own process sending as fast as it can, bound by one core: encoding, compression and the client library.

The clock of a drain runs from the first transaction that is seen to the last. The three are measured in turns, and a ratio is taken round
by round, so that a busy machine slows both sides of it.`,
		r.Limit.Usage.Database, r.LimitSorted.Usage.Database, r.Surroundings.Cores, share(usage.Database), share(usage.Consumer), share(usage.Broker), r.sharedBound(), r.CPURatioSorted)
}

// sharedBound is what a drain has of the sorted limit by the processor's time, where all share the cores and PostgreSQL does
// the same in both.
func (r *Report) sharedBound() float64 {
	bare := r.LimitSorted.Usage.total()
	return bare / max(bare+r.Drain.Usage.Consumer+r.Drain.Usage.Broker, 1e-9)
}

// aboutSteady says what bounds the latency, by how much of the processor is taken.
func (r *Report) aboutSteady() string {
	slow, fast := rhythmAt(0), rhythmAt(manyPerSecond)
	var busy []string
	for _, s := range r.Steady {
		if s.KeptUp {
			busy = append(busy, fmt.Sprintf("%.1f at %s", s.busy(), thousands(float64(s.PerSecond))))
		}
	}
	return fmt.Sprintf(`Latency runs from the event's own time to the moment at which an observer sees its row committed. Events are dated
when they are due, whether or not the producer could send them then, so nothing that holds a reading up is left out; *sent* is the
part of it until the broker had acknowledged the event. Producer and observer have to share the processors with what they measure:
the producer collects for %v and the observer looks every %v, at %s a second and more for %v and every %v. Rates are for all
partitions together, and 100 %% is one core.

At low rates latency is the sum of the producer's wait, a fetch, one round trip to the database and a COMMIT that waits for the disk; batches have few
rows then, and the processor's time a reading is the price of a transaction. As the rate grows so do the batches, by themselves: each takes what has come in while the one
before was stored. What the slowest of a hundred waits for is a core. Consumer, PostgreSQL, broker, producer and observer share %d; they had this
many busy: %s. The busier, the longer the wait for one, and a moment in which the machine is slower shows at once. Close to the limit
latency is the time of a transaction with thousands of rows, and beyond it the lag grows for as long as the rate holds.`,
		slow.linger, slow.look, thousands(manyPerSecond), fast.linger, fast.look, r.Surroundings.Cores, strings.Join(busy, ", "))
}

const aboutGrowth = `Each column is what was measured from so many rows on, over the next readings. Readings are dated at one a second and customer, the last of
them now, and partitions are ten minutes wide, as they become where a table takes more than 4 GiB an hour. Each of several
rounds is followed by one that starts where the first column does, in a new database: a machine is not as fast in one minute as in
the next, and what a ratio has left of that is in its spread.

What a reading costs depends on the partition it goes to, not on all those behind. In a partition that has filled, the newest readings of
each customer have an index page of their own: for 10,000 customers 80 MB, more than a processor's caches hold. The readings that
a transaction has of a customer share the price of its page, so the consumer gathers what comes in while a transaction is under
way, as much as its memory allows. The write-ahead log grows because each of these pages goes there whole after every checkpoint, and
with the default max_wal_size a drain has one every few seconds; at 10,000 readings a second they are minutes apart. A page that
is full splits in halves, of which the older one is never filled again: hence the bytes a record before its partition is packed,
of which 92 are the row. A consumer packs the indexes of a partition once its time is over, and the last line is what remains.

Dashboards read rollups, the latest states, or a stretch that an index bounds; the trace of one customer reads as many
scattered pages as it shows readings, up to its limit.`

const aboutRest = `A consumer remembers one reading for each customer whose stored state is behind, all of its customers at worst.

The backfill is a second consumer with a topic of its own, whose readings are spread over the day before; both write to the same tables. With
` + "`consume --background`" + ` it stores one short transaction at a time and rests one and a half times as long as that took. That way it gets most of what
live readings leave of the processor, which bounds it, and they keep a p99 of the same order. Without the flag it takes its share of what live readings
need, and they wait for their turn. Where nobody waits for live readings, in a quiet hour or on a machine of its own, leave the flag out.`
