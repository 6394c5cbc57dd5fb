package pipeline

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/heartbeat"
)

func TestThirdOfTheFleetLostIsOnePage(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newLiveFleet(t, 3, 1000)
			f.consume()
			f.run(3 * time.Minute)
			f.stopped = func(customer int) bool { return customer%10 < 3 }
			f.run(5 * time.Minute)
			f.want(map[string]int{"outage raised": f.changes()["outage raised"]})
			if restart {
				f.kill()
				f.consume()
				f.run(time.Minute)
			}
			f.want(map[string]int{"outage raised": f.changes()["outage raised"]})
			if f.stores[0].fleet.raised[alarm.Outage] != 1 {
				t.Errorf("outage raised %d times, want once", f.stores[0].fleet.raised[alarm.Outage])
			}
			silent := 0
			for _, store := range f.stores {
				silent += len(store.silent)
			}
			if silent != 300 {
				t.Errorf("%d customers are stored as silent, want 300", silent)
			}
			f.stopped = func(customer int) bool { return customer%100 == 0 } // ten stay away
			f.run(2 * time.Minute)
			got := f.changes()
			if got["outage cleared"] == 0 || got["silent raised"] != 10 || got["silent cleared"] != 0 {
				t.Errorf("after the outage: %v, want its end and 10 silent", got)
			}
			f.stopped = nil
			f.run(time.Minute)
			if got := f.changes(); got["silent raised"] != 10 || got["silent cleared"] != 10 || f.stores[0].fleet.states[alarm.Outage].Active {
				t.Errorf("in the end: %v, want 10 silent raised and cleared", got)
			}
		})
	}
}

// A consumer that was stopped in an outage knows no silent customer before it has caught up.
func TestRestartEndsNoOutage(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{20 * time.Second, 2 * time.Minute, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := newLiveFleet(t, 3, 100)
			f.consume()
			f.run(3 * time.Minute)
			f.stopped = func(customer int) bool { return customer%3 != 0 && customer%10 < 4 } // none in the partition that is first
			f.run(3 * time.Minute)
			f.kill()
			f.run(pause)
			f.consume()
			f.run(3 * time.Minute)
			if got := f.changes(); got["outage cleared"]+got["silent raised"] > 0 || f.stores[0].fleet.raised[alarm.Outage] != 1 {
				t.Errorf("stopped for %v: %v, outage raised %d times, want it once and no end", pause, got, f.stores[0].fleet.raised[alarm.Outage])
			}
			f.stopped = nil
			f.run(time.Minute)
			if got := f.changes(); f.stores[0].fleet.states[alarm.Outage].Active || got["silent raised"] > 0 {
				t.Errorf("stopped for %v and all heard again: %v, want the end", pause, got)
			}
		})
	}
}

// Partitions are added: half of the fleet moves, and comes back.
func TestCustomersWhoMoveAreNotSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 2, 100)
		first := func(int) int { return 0 }
		f.partition = first
		f.consume()
		f.run(3 * time.Minute)
		f.partition = func(customer int) int { return customer % 2 }
		f.stores[0].elsewhere = func(customer heartbeat.CustomerID) bool { return customer%2 == 0 }
		f.run(4 * time.Minute)
		f.want(map[string]int{})
		f.stopped = func(customer int) bool { return customer == 1 }
		f.run(70 * time.Second)
		f.want(map[string]int{"silent raised": 1})
		f.stopped, f.partition, f.stores[0].elsewhere = nil, first, nil
		f.stores[1].elsewhere = func(heartbeat.CustomerID) bool { return true }
		f.run(4 * time.Minute)
		if got := f.changes(); got["silent raised"] != 1 || got["outage raised"] > 0 || !slices.ContainsFunc(f.stores[0].transitions, func(t alarm.Transition) bool {
			return t.Subject == "CUST_00002" && t.Condition == alarm.Silent && t.Kind == alarm.Cleared
		}) {
			t.Errorf("after the return: %v, want the silence cleared by the partition that has the customer now", got)
		}
	})
}

// Customers leave one by one, each with three minutes to be missed in. After a restart that time starts again for all of them.
func TestRestartMakesNoOutageOfThoseWhoLeftBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 100)
		f.interval = time.Minute
		f.consume()
		f.run(40 * time.Minute)
		left := 0
		f.stopped = func(customer int) bool { return customer%7 == 0 && customer < 7*left }
		for range 12 {
			left++
			f.run(15 * time.Second)
		}
		f.kill()
		f.consume()
		f.run(4 * time.Minute)
		f.want(map[string]int{"silent raised": 12})
	})
}

// The outage that stops the devices restarts the consumer too.
func TestOutageJustBeforeARestartIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 3, 100)
		f.consume()
		f.run(3 * time.Minute)
		f.stopped = func(customer int) bool { return customer%10 < 3 }
		f.run(40 * time.Second)
		f.kill()
		f.consume()
		f.run(2 * time.Minute)
		if got := f.changes(); got["silent raised"] > 0 || f.stores[0].fleet.raised[alarm.Outage] != 1 {
			t.Errorf("%v, outage raised %d times, want it once and no personal alarm", got, f.stores[0].fleet.raised[alarm.Outage])
		}
	})
}

// Kafka dropped all records: none comes that would say that everything is replayed.
func TestEmptiedPartitionIsWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 1)
		f.consume()
		f.run(3 * time.Minute)
		mustFlush(t, f.workers[0])
		f.stores[0].stateFrom-- // a customer's snapshot was behind at the end
		f.kill()
		f.consume()
		end := int64(len(f.logs[0]))
		f.given[0] = int(mustClaim(t, f.workers[0], LogBounds{Start: end, End: end}))
		f.stopped = func(int) bool { return true }
		f.run(70 * time.Second)
		f.want(map[string]int{"silent raised": 1})
	})
}

// Where devices report seldom, their limits pass one by one.
func TestThirdOfASlowFleetLostIsOnePage(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{20 * time.Second, 30 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := newLiveFleet(t, 3, 1000)
			f.interval = interval
			f.consume()
			f.run(25 * interval)
			f.stopped = func(customer int) bool { return customer%10 < 3 }
			f.run(8 * time.Minute)
			if got := f.changes(); got["silent raised"] > 0 || f.stores[0].fleet.raised[alarm.Outage] != 1 {
				t.Errorf("each %v: %v, outage raised %d times, want it once and no personal alarm", interval, got, f.stores[0].fleet.raised[alarm.Outage])
			}
		})
	}
}

// Three of a hundred are no outage. Their alarms wait for one, a minute at most.
func TestAlarmsWaitForAnOutageForAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 500)
		f.consume()
		f.run(3 * time.Minute)
		f.stopped = func(customer int) bool { return customer < 15 }
		f.run(2*time.Minute - f.interval)
		f.want(map[string]int{})
		f.run(2 * f.interval)
		f.want(map[string]int{"silent raised": 15})
	})
}

func TestOutageThatStaysBecomesPersonal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newLiveFleet(t, 1, 100)
		f.consume()
		f.run(3 * time.Minute)
		f.stopped = func(customer int) bool { return customer < 30 }
		f.run(15 * time.Minute)
		f.want(map[string]int{"outage raised": 1})
		f.run(3 * time.Minute)
		f.want(map[string]int{"outage raised": 1, "outage cleared": 1, "silent raised": 30})
	})
}
