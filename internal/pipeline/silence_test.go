package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heartbeat/internal/alarm"
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// liveFleet is a fleet with a topic, in synthetic time. Its devices report each interval, spread over it.
type liveFleet struct {
	*testing.T
	interval  time.Duration
	customers int
	stopped   func(customer int) bool // nil: none
	event     func(at time.Time) string
	partition func(customer int) int

	logs    [][]heartbeat.Record
	stores  []*memory
	workers []*Worker // nil: no consumer
	given   []int     // records that the worker has
	away    bool      // the broker does not answer
	seconds int
}

func newLiveFleet(t *testing.T, partitions, customers int) *liveFleet {
	f := &liveFleet{T: t, interval: 5 * time.Second, customers: customers, logs: make([][]heartbeat.Record, partitions)}
	shared := newFleetAlarms()
	for range partitions {
		store := newMemory()
		store.fleet = shared
		f.stores = append(f.stores, store)
	}
	f.partition = func(customer int) int { return customer % partitions }
	f.workers, f.given = make([]*Worker, partitions), make([]int, partitions)
	return f
}

// consume begins, after a restart too.
func (f *liveFleet) consume() {
	f.Helper()
	for p := range f.workers {
		logger := slog.New(slog.DiscardHandler)
		w := NewWorker(Options{
			Partition: Partition{Topic: "heartbeat-events", Number: int32(p)},
			Store:     f.stores[p], Meter: NewMeter(logger, prometheus.NewRegistry()), Logger: logger,
			Detection: &Detection{Settings: detect.DefaultSettings(), Limits: defaultLimits(f), Store: f.stores[p], Watch: true},
		})
		f.given[p] = int(mustClaim(f.T, w, LogBounds{End: int64(len(f.logs[p]))}))
		f.workers[p] = w
	}
}

func (f *liveFleet) kill() { clear(f.workers) }

// run lets time pass, a second at a time.
func (f *liveFleet) run(length time.Duration) {
	f.Helper()
	for range int(length / time.Second) {
		time.Sleep(time.Second)
		f.seconds++
		f.produce()
		for p, w := range f.workers {
			if w == nil || f.away {
				continue
			}
			end := int64(len(f.logs[p]))
			if records := f.logs[p][f.given[p]:]; len(records) > 0 {
				mustProcess(f.T, w, records)
				f.given[p] = int(end)
			}
			if _, err := w.Watch(f.Context(), end, time.Now()); err != nil {
				f.Fatal(err)
			}
			if f.seconds%7 == 0 {
				mustFlush(f.T, w)
			}
		}
	}
}

func (f *liveFleet) produce() {
	every := int(f.interval / time.Second)
	for i := f.seconds % every; i < f.customers; i += every {
		if f.stopped != nil && f.stopped(i) {
			continue
		}
		p := f.partition(i)
		now := time.Now().UTC()
		at := now.Format(time.RFC3339Nano)
		if f.event != nil {
			at = f.event(now)
		}
		f.logs[p] = append(f.logs[p], heartbeat.Record{
			Offset: int64(len(f.logs[p])), Timestamp: now,
			Value: fmt.Appendf(nil, `{"customer_id":%q,"heart_rate":%d,"timestamp":%q}`, heartbeat.CustomerID(i+1), 70+f.seconds/every%5, at),
		})
	}
}

// changes counts the transitions by condition and kind.
func (f *liveFleet) changes() map[string]int {
	counts := map[string]int{}
	for _, store := range f.stores {
		for _, t := range store.transitions {
			counts[fmt.Sprintf("%s %s", t.Condition, t.Kind)]++
		}
	}
	return counts
}

func (f *liveFleet) want(want map[string]int) {
	f.Helper()
	if got := f.changes(); !maps.Equal(got, want) {
		f.Fatalf("transitions %v, want %v", got, want)
	}
}

func TestOneOfTenThousandIsFoundSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 3, 10_000)
		f.consume()
		f.run(2 * time.Minute)
		f.stopped = func(customer int) bool { return customer == 4711 }
		f.run(time.Minute - f.interval)
		f.want(map[string]int{})
		f.run(5*time.Second + f.interval) // its last reading was up to an interval before
		f.want(map[string]int{"silent raised": 1})
		found := f.stores[4711%3].transitions[0]
		if found.Subject != "CUST_04712" || found.Priority != alarm.Low || found.At.Sub(found.Since) != time.Minute {
			t.Errorf("found %+v, want CUST_04712, low, a minute after it was heard", found)
		}
		f.run(time.Minute)
		f.stopped = nil
		f.run(time.Minute)
		f.want(map[string]int{"silent raised": 1, "silent cleared": 1})
	})
}

// ThingsBoard #13715: 10,000 live, consumer stopped 60 s: 0 silent, 1 lag.
func TestStoppedConsumerMakesNobodySilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 3, 10_000)
		f.consume()
		f.run(2 * time.Minute)
		f.kill()
		f.run(time.Minute)
		f.consume()
		f.run(2 * time.Minute)
		f.want(map[string]int{"lag raised": 1, "lag cleared": 1})
	})
}

// A process that was stopped (SIGSTOP, a virtual machine that is moved) and keeps its claim is behind like one that starts.
func TestConsumerThatWasPausedIsBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 3, 300)
		f.consume()
		f.run(2 * time.Minute)
		f.away = true
		f.run(20 * time.Second)
		f.away = false
		f.run(time.Minute)
		f.want(map[string]int{})
		f.away = true
		f.run(time.Minute)
		f.away = false
		f.run(2 * time.Minute)
		f.want(map[string]int{"lag raised": 1, "lag cleared": 1})
	})
}

// A batch that the database refuses waits for a person, who learns of it by an alarm.
func TestRefusedBatchIsLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 50)
		f.consume()
		f.run(2 * time.Minute)
		refused := 0
		f.stores[0].fault = func(batch *Batch) (bool, error) {
			if batch.To == batch.From || refused >= 4 {
				return true, nil
			}
			switch refused++; refused {
			case 2: // the first time is not over 30 s ago
				f.want(map[string]int{})
			case 4:
				f.want(map[string]int{"lag raised": 1})
			}
			return false, &Fault{Fatal, errors.New("permission denied")}
		}
		f.run(time.Second) // the worker repeats the batch each 30 s
		if refused != 4 {
			t.Fatalf("%d batches were refused, want 4", refused)
		}
		f.run(time.Minute)
		f.want(map[string]int{"lag raised": 1, "lag cleared": 1})
	})
}

func TestRestartsDecideNothingFalse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 2, 200)
		f.consume()
		f.run(3 * time.Minute)
		for _, pause := range []time.Duration{0, time.Second, 20 * time.Second, 0} {
			f.kill()
			f.run(pause)
			f.consume()
			f.run(2 * time.Minute)
		}
		f.want(map[string]int{})
	})
}

func TestBacklogOfAnHourMakesNobodySilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 50)
		f.run(time.Hour)
		f.consume()
		f.run(10 * time.Minute)
		f.want(map[string]int{})
		f.kill()
		f.run(time.Hour)
		f.consume()
		f.run(10 * time.Minute)
		f.want(map[string]int{"lag raised": 1, "lag cleared": 1})
	})
}

func TestDaylightSavingChangeMakesNobodySilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour) // no reading may be older than 2000, when the bubble begins
		f := newLiveFleet(t, 1, 50)
		change := time.Now().Add(10 * time.Minute)
		wall := func(shift time.Duration) func(time.Time) string { // devices whose clock goes by the wall without knowing of the offset
			return func(now time.Time) string {
				if now.After(change) {
					now = now.Add(shift)
				}
				return now.In(berlin).Format("2006-01-02T15:04:05.999999Z07:00")
			}
		}
		f.consume()
		f.event = wall(-time.Hour)
		f.run(20 * time.Minute)
		change = time.Now().Add(10 * time.Minute)
		f.event = wall(5 * time.Minute)
		f.run(20 * time.Minute)
		if got := f.changes(); got["silent raised"]+got["outage raised"]+got["lag raised"] > 0 {
			t.Errorf("transitions %v, want none of silence", got)
		}
	})
}

func TestBrokerAwayMakesNobodySilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 50)
		f.consume()
		f.run(3 * time.Minute)
		f.away, f.stopped = true, func(int) bool { return true } // producers cannot write either
		f.run(10 * time.Minute)
		f.away, f.stopped = false, nil
		f.run(3 * time.Minute)
		f.want(map[string]int{})
	})
}

func TestOnlyCustomerOfAPartitionIsFoundSilent(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newLiveFleet(t, 1, 1)
			f.consume()
			f.run(3 * time.Minute)
			f.stopped = func(int) bool { return true }
			f.run(20 * time.Second)
			if restart {
				f.kill()
				f.consume()
			}
			f.run(70 * time.Second)
			f.want(map[string]int{"silent raised": 1})
			if !f.stores[0].silent[1] {
				t.Error("the customer is not stored as silent")
			}
			f.kill()
			f.consume()
			f.run(5 * time.Minute)
			f.want(map[string]int{"silent raised": 1})
			f.stopped = nil
			f.run(time.Minute)
			f.want(map[string]int{"silent raised": 1, "silent cleared": 1})
		})
	}
}

func TestSignalLostWhileActiveIsStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 1)
		f.consume()
		rates := slices.Concat(times(80, 30), times(150, 3), times(175, 3), times(190, 20))
		write := func(rate int) {
			time.Sleep(5 * time.Second)
			f.seconds += 5
			event := heartbeat.Event{Customer: 1, Rate: heartbeat.BPM(rate), Time: time.Now()}
			f.logs[0] = append(f.logs[0], heartbeat.Record{Offset: int64(len(f.logs[0])), Timestamp: event.Time, Value: event.AppendJSON(nil)})
		}
		f.stopped = func(int) bool { return true }
		for i := range rates {
			write(rates[i])
			f.run(0)
			mustProcess(t, f.workers[0], f.logs[0][i:])
			f.given[0] = i + 1
		}
		f.run(2 * time.Minute)
		f.want(map[string]int{"rate_high raised": 1, "rate_high stale": 1, "silent raised": 1})
		if priority := f.stores[0].transitions[1].Priority; priority != alarm.Medium {
			t.Errorf("silence has priority %s while another alarm is open, want medium", priority)
		}
		write(190)
		f.run(time.Second)
		f.want(map[string]int{"rate_high raised": 1, "rate_high stale": 1, "rate_high fresh": 1, "silent raised": 1, "silent cleared": 1})
	})
}

// A batch that ends a silence and fails leaves it for the next attempt.
func TestSilenceEndsWithTheBatchThatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 2)
		f.consume()
		f.run(3 * time.Minute)
		f.stopped = func(customer int) bool { return customer == 1 }
		f.run(2 * time.Minute)
		f.want(map[string]int{"silent raised": 1})
		refused := false
		f.stores[0].fault = func(b *Batch) (bool, error) {
			if len(b.Readings) > 1 {
				refused = true
				return false, &Fault{BadData, fmt.Errorf("one of %d is refused", len(b.Readings))}
			}
			return true, nil
		}
		f.stopped = nil
		f.away = true
		f.run(10 * time.Second)
		f.away = false
		f.run(10 * time.Second)
		if f.want(map[string]int{"silent raised": 1, "silent cleared": 1}); !refused {
			t.Error("no batch was refused")
		}
	})
}

// Two readings a second over 10,000 customers: each one speaks once in 83 minutes.
func TestSilenceIsOffForSeldomReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 5)
		f.interval = 83 * time.Minute
		f.consume()
		f.run(30 * f.interval)
		f.stopped = func(int) bool { return true }
		f.run(14 * time.Minute)
		f.want(map[string]int{})
		if r := f.stores[0].fleet.reports[0]; r.Watched != 0 {
			t.Errorf("%d customers are watched, want none: %+v", cmp.Or(r.Watched, -1), r)
		}
	})
}
