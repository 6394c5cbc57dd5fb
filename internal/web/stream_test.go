package web_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/heartbeat"
	"heartbeat/internal/web"
)

func TestStreamShowsEverybodyThenChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil)
		observe(r.hub, 1, 75)
		observe(r.hub, 999_999_999, -5)
		c := r.connect(t, "")
		if hello := c.await("hello"); !strings.Contains(hello.data, `"pool":100`) {
			t.Errorf("hello is %s", hello.data)
		}
		rates := map[uint64]int64{}
		if from, _ := wall(t, c.await("frame"), rates); from != 0 {
			t.Errorf("the first frame begins after %d, want 0", from)
		}
		observe(r.hub, 1, 76)
		observe(r.hub, 300, 301)
		wall(t, c.await("frame"), rates)
		wall(t, c.await("frame"), rates)
		if want := map[uint64]int64{1: 76, 300: 301, 999_999_999: -5}; !cmp.Equal(rates, want) {
			t.Errorf("the wall is %v, want %v", rates, want)
		}
	})
}

func TestStreamResumesAfterLastEventID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil)
		observe(r.hub, 1, 200)
		first := r.connect(t, "")
		if alerts := first.await("alerts"); !strings.Contains(alerts.data, `"last":1,"missed":0,"a":[[1,200,`) {
			t.Fatalf("alerts are %s", alerts.data)
		}
		first.await("frame")
		last := first.await("frame") // the first repeats what happened after the tick it belongs to
		first.conn.Close()
		observe(r.hub, 2, 30)
		second := r.connect(t, last.id)
		alerts := second.await("alerts")
		if !strings.Contains(alerts.data, `"last":2,"missed":0,"a":[[2,30,`) || strings.Contains(alerts.data, "[1,") {
			t.Errorf("after reconnecting the alerts are %s, want the second alone", alerts.data)
		}
		rates := map[uint64]int64{}
		wall(t, second.await("frame"), rates)
		if want := map[uint64]int64{2: 30}; !cmp.Equal(rates, want) {
			t.Errorf("after reconnecting the frame holds %v, want %v", rates, want)
		}
	})
}

func TestStreamOfAnotherProcessBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"OTHERBOOT0.999999.5", "nonsense", "..", "a.b.c"} {
		synctest.Test(t, func(t *testing.T) {
			r := open(t, nil)
			observe(r.hub, 1, 75)
			rates := map[uint64]int64{}
			if from, _ := wall(t, r.connect(t, id).await("frame"), rates); from != 0 || rates[1] != 75 {
				t.Errorf("Last-Event-ID %q: the frame begins after %d with %v, want everybody", id, from, rates)
			}
		})
	}
}

func TestStalledViewerIsDroppedWithinSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		r := open(t, func(o *web.Options) { o.MaxViewers, o.Registry = 1, registry })
		stalled := r.connect(t, "")
		stalled.await("hello") // and then never reads again
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := counter(t, registry, "heartbeat_viewers_dropped_total"); got != 1 {
			t.Errorf("%v viewers were dropped, want 1", got)
		}
		rates := map[uint64]int64{}
		observe(r.hub, 1, 75)
		wall(t, r.connect(t, "").await("frame"), rates) // the only seat is free again
		for {
			if _, err := stalled.event(); err != nil {
				break
			}
		}
	})
}

func counter(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestViewersBeyondTheLimitAreToldToComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, func(o *web.Options) { o.MaxViewers = 1 })
		r.connect(t, "").await("hello")
		line, err := r.connect(t, "").in.ReadString('\n')
		if err != nil || !strings.Contains(line, "503") {
			t.Errorf("the second of one viewer got %q, %v", line, err)
		}
	})
}

func TestStreamEndsWithItsLifetime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, func(o *web.Options) { o.Lifetime = 10 * time.Second })
		c := r.connect(t, "")
		c.await("hello")
		begin := time.Now()
		for {
			if _, err := c.event(); err != nil {
				break
			}
			if time.Since(begin) > time.Minute {
				t.Fatal("the stream goes on for a minute, want 10 s")
			}
		}
	})
}

func TestViewersSeeAlertsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil)
		c := r.connect(t, "")
		c.await("frame")
		go func() {
			for i := range 50 {
				observe(r.hub, heartbeat.CustomerID(i), 200)
				time.Sleep(100 * time.Millisecond)
			}
		}()
		next := 0
		for next < 50 {
			var alerts struct{ A [][3]int64 }
			if err := json.Unmarshal([]byte(c.await("alerts").data), &alerts, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Fatal(err)
			}
			for _, alert := range alerts.A {
				if alert[0] != int64(next) {
					t.Fatalf("alert of customer %d came when that of %d was due", alert[0], next)
				}
				next++
			}
		}
	})
}
