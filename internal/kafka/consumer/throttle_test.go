package consumer

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A background consumer runs one transaction at a time and pauses 1.5 times its duration after it.
func TestThrottlePausesAfterEachTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttle, stop := newThrottle(), make(chan struct{})
		const queues, rounds, took = 3, 4, 10 * time.Millisecond
		began := time.Now()
		var all sync.WaitGroup
		var mu sync.Mutex
		working := 0
		for range queues {
			all.Go(func() {
				for range rounds {
					end := throttle.acquire(stop)
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
		if got, want := time.Since(began), queues*rounds*took*5/2; got != want {
			t.Errorf("%d transactions of %v took %v, want %v", queues*rounds, took, got, want)
		}
	})
}

// A queue that must stop waits neither for the token nor through its pause.
func TestThrottleEndsWithTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttle, stop := newThrottle(), make(chan struct{})
		end := throttle.acquire(stop)
		time.Sleep(time.Hour)
		waiting := make(chan bool)
		go func() { waiting <- throttle.acquire(stop) == nil }()
		synctest.Wait()
		stopped := time.Now()
		close(stop)
		if !<-waiting {
			t.Error("a queue that must stop got the token")
		}
		if end(); time.Since(stopped) > 0 {
			t.Errorf("the pause after the last transaction took %v, want none", time.Since(stopped))
		}
	})
}

func TestNilThrottleNeverWaits(t *testing.T) {
	t.Parallel()
	var throttle *throttle
	stop := make(chan struct{})
	first, second := throttle.acquire(stop), throttle.acquire(stop)
	if first == nil || second == nil {
		t.Fatal("a queue waits although there is no throttle")
	}
	first()
	second()
}
