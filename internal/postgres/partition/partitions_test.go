package partition_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/pgtest"
)

func TestMissingPartitions(t *testing.T) {
	t.Parallel()
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC) }
	now := at(10, 12, 34)
	hour, day := time.Hour, 24*time.Hour
	for _, test := range []struct {
		name string
		end  time.Time
		step time.Duration
		want [][2]time.Time
	}{
		{"nothing while the last one reaches far enough", at(10, 16, 0), hour, nil},
		{"one each hour", at(10, 15, 0), hour, [][2]time.Time{{at(10, 15, 0), at(10, 16, 0)}}},
		{"nothing when the clock has gone back by years", at(10, 12, 0).AddDate(9, 0, 0), hour, nil},
		{"from an odd bound to the next hour", at(10, 14, 20), hour, [][2]time.Time{{at(10, 14, 20), at(10, 15, 0)}, {at(10, 15, 0), at(10, 16, 0)}}},
		{"tomorrow's day is not due yet", at(11, 0, 0), day, nil},
		{"a day from an odd bound on", at(10, 15, 0), day, [][2]time.Time{{at(10, 15, 0), at(11, 0, 0)}}},
		{"today's day", at(10, 0, 0), day, [][2]time.Time{{at(10, 0, 0), at(11, 0, 0)}}},
		{"a bridge over a long pause", at(1, 0, 0), day, [][2]time.Time{{at(1, 0, 0), at(9, 0, 0)}, {at(9, 0, 0), at(10, 0, 0)}, {at(10, 0, 0), at(11, 0, 0)}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, partition.Missing(test.end, now, test.step)); diff != "" {
				t.Errorf("partitions (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a jump of the clock costs no more than a day's partitions", func(t *testing.T) {
		t.Parallel()
		if n := len(partition.Missing(now.AddDate(-20, 0, 0), now, hour)); n != 1+24+4 {
			t.Errorf("%d partitions, want 29", n)
		}
		if n := len(partition.Missing(now.AddDate(-20, 0, 0), now, 10*time.Minute)); n != 1+24*6+3*6+1 {
			t.Errorf("%d partitions of ten minutes, want 164", n)
		}
	})
}

// Each width comes and goes with the rate: whatever they are, partitions follow one another, and no two have one name.
func TestWidthsChangeWithoutGapOrOverlap(t *testing.T) {
	t.Parallel()
	widths := rapid.SampledFrom([]time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour})
	pauses := rapid.OneOf(rapid.Int64Range(1, 300), rapid.Int64Range(1, 10_000)) // minutes
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(0, 1439).Draw(t, "begin")) * time.Minute)
		end := now.Truncate(time.Hour).AddDate(0, 0, -1)
		names := map[string]bool{}
		for range 20 {
			width := widths.Draw(t, "width")
			for _, bounds := range partition.Missing(end, now, width) {
				from, to := bounds[0], bounds[1]
				if !from.Equal(end) || !to.After(from) {
					t.Fatalf("a partition from %s to %s follows one that ends at %s", from, to, end)
				}
				name := partition.RegularName(from, to)
				if names[name] {
					t.Fatalf("a second partition is named %s", name)
				}
				names[name], end = true, to
			}
			if end.Before(now.Add(3 * time.Hour)) {
				t.Fatalf("at %s partitions reach to %s", now, end)
			}
			now = now.Add(time.Duration(pauses.Draw(t, "pause")) * time.Minute)
		}
	})
}

func TestPartitionsAreNamedForTheirBeginning(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time { return time.Date(2026, 2, 20, hour, minute, 0, 0, time.UTC) }
	for want, bounds := range map[string][2]time.Time{
		"heartbeat_records_p2026022000":   {at(0, 0), at(24, 0)},
		"heartbeat_records_p2026022010":   {at(10, 0), at(11, 0)},
		"heartbeat_records_p202602201000": {at(10, 0), at(10, 10)},
		"heartbeat_records_p202602201010": {at(10, 10), at(10, 20)},
		"heartbeat_records_p202602201120": {at(11, 20), at(12, 0)},
	} {
		if got := partition.RegularName(bounds[0], bounds[1]); got != want {
			t.Errorf("from %s to %s: %s, want %s", bounds[0], bounds[1], got, want)
		}
	}
}

// Two processes may measure two rates. What the slower one has found missing is no longer.
func TestProcessesDisagreeOnTheWidth(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	pgtest.MustMaintain(t, pool, 0)
	tables := partition.New(pool, 0)
	end := pgtest.Value[time.Time](t, pool, `
SELECT max(substring(pg_get_expr(relpartbound, oid) FROM 'TO \(''([^'']+)''\)')::timestamptz)
  FROM pg_class JOIN pg_inherits ON inhrelid = oid
 WHERE inhparent = 'heartbeat_records'::regclass`)
	before := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'heartbeat_records'::regclass`)
	for _, bounds := range [][2]time.Duration{
		{0, time.Hour}, {0, 10 * time.Minute}, {10 * time.Minute, 20 * time.Minute}, // the last two are inside the first
		{time.Hour, 70 * time.Minute}, {time.Hour, 2 * time.Hour},
	} {
		if err := tables.Create(t.Context(), end.Add(bounds[0]), end.Add(bounds[1])); err != nil {
			t.Fatal(err)
		}
	}
	wantUnbroken(t, pool, "heartbeat_records")
	if n := pgtest.Value[int](t, pool, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'heartbeat_records'::regclass`); n != before+2 {
		t.Errorf("%d partitions were added, want 2", n-before)
	}
}

func TestWidthFollowsTheRate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 12, 30, 0, 0, time.UTC)
	hours := func(from, to int, bytes int64) []partition.Hour {
		var all []partition.Hour
		for hour := from; hour < to; hour++ {
			all = append(all, partition.Hour{From: now.Truncate(time.Hour).Add(time.Duration(hour) * time.Hour), Width: time.Hour, Bytes: bytes})
		}
		return all
	}
	tenMinutes := func(bytes int64) partition.Hour {
		return partition.Hour{From: now.Add(-20 * time.Minute), Width: 10 * time.Minute, Bytes: bytes}
	}
	today := partition.Hour{From: now.Truncate(24 * time.Hour), Width: 24 * time.Hour}
	for _, test := range []struct {
		name    string
		regular []partition.Hour
		want    time.Duration
	}{
		{"quiet for two days", hours(-48, 4, 1<<20), 24 * time.Hour},
		{"not known for long enough", hours(-40, 4, 1<<20), time.Hour},
		{"busy for an hour of the last day", append(hours(-48, 0, 1<<20), hours(-3, -2, 1<<30)...), time.Hour},
		{"quiet in days", []partition.Hour{{From: now.AddDate(0, 0, -9), Width: 24 * time.Hour}, {today.From, today.Width, 12 * 100 << 20}}, 24 * time.Hour},
		{"very busy on its first day", hours(-3, 1, 5<<30), 10 * time.Minute},
		{"very busy for an hour of the last day", append(hours(-48, 0, 1<<20), hours(-3, -2, 5<<30)...), 10 * time.Minute},
		{"very busy for less than its first hour", append(hours(-48, 0, 1<<20), hours(0, 1, 5<<30)...), 24 * time.Hour},
		{"very busy in partitions of ten minutes", append(hours(-48, -1, 0), tenMinutes(1<<30)), 10 * time.Minute},
		{"busy in partitions of ten minutes", append(hours(-48, -1, 0), tenMinutes(100<<20)), time.Hour},
		{"quiet in partitions of ten minutes", append(hours(-48, -1, 0), tenMinutes(10<<20)), 24 * time.Hour},
		{"busy today", []partition.Hour{{From: now.AddDate(0, 0, -9), Width: 24 * time.Hour}, {today.From, today.Width, 12 * 200 << 20}}, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := partition.NextWidth(now, test.regular); got != test.want {
				t.Errorf("the next partition is %s wide, want %s", got, test.want)
			}
		})
	}
}
