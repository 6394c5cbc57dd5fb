package kafka

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// In the background one transaction runs at a time, and 1.5 times as long as it took nothing does.
func TestTurnsLeaveRestBehindEachTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns, stop := newTurns(), make(chan struct{})
		const lanes, rounds, took = 3, 4, 10 * time.Millisecond
		began := time.Now()
		var all sync.WaitGroup
		var mu sync.Mutex
		working := 0
		for range lanes {
			all.Go(func() {
				for range rounds {
					end := turns.wait(stop)
					mu.Lock()
					if working++; working > 1 {
						t.Error("two transactions at once")
					}
					mu.Unlock()
					time.Sleep(took)
					mu.Lock()
					working--
					mu.Unlock()
					end()
				}
			})
		}
		all.Wait()
		if got, want := time.Since(began), lanes*rounds*took*5/2; got != want {
			t.Errorf("%d transactions of %v took %v, want %v", lanes*rounds, took, got, want)
		}
	})
}

// A lane that must stop waits neither for its turn nor for its rest.
func TestTurnsEndWithTheLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns, stop := newTurns(), make(chan struct{})
		end := turns.wait(stop)
		time.Sleep(time.Hour)
		waiting := make(chan bool)
		go func() { waiting <- turns.wait(stop) == nil }()
		synctest.Wait()
		stopped := time.Now()
		close(stop)
		if !<-waiting {
			t.Error("a lane that is to stop got its turn")
		}
		if end(); time.Since(stopped) > 0 {
			t.Errorf("the rest behind the last transaction took %v, want none", time.Since(stopped))
		}
	})
}

func TestNoTurnsKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	var turns *turns
	stop := make(chan struct{})
	first, second := turns.wait(stop), turns.wait(stop)
	if first == nil || second == nil {
		t.Fatal("a lane has to wait although there are no turns")
	}
	first()
	second()
}
