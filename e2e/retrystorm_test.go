package e2e_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heartbeat/internal/testkit/apachekafka"
	"heartbeat/internal/testkit/freeport"
)

var stormKills = flag.Int("storm-kills", 6, "how often to kill gateway and consumer in a storm of retries")

const (
	stormRequests = 240 // while nothing is killed any more, at least so many
	stormReadings = 20  // in a request
	stormSends    = 3   // answers that a client wants to each request
	stormClients  = 6
)

// Clients send each request three times, to two gateways in turn, while gateways, consumers and, on Apache Kafka, the broker are killed:
// each reading is stored once.
func TestRetryStormIsStoredOnce(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	kafka := sharedBroker(t)
	killBroker := func() {} // the embedded broker lives in the process of the tests
	if onApache() {
		own := ownApache(t, apachekafka.Options{})
		kafka, killBroker = own, func() { own.killAndRestart(t, 0) }
	}
	runRounds(t, "requests of devices sent three times to two gateways that are killed", func(t *testing.T) *fixture {
		f := newFixtureOn(t, kafka.address(), sharedDatabase(t))
		storm := &storm{f: f, base: time.Now().Add(-time.Hour).UTC().Truncate(time.Second)}
		for i := range storm.gateways {
			storm.gateways[i].address = freeport.Address(t)
			storm.startGateway(i)
		}
		var clients sync.WaitGroup
		for range stormClients {
			clients.Go(storm.send)
		}
		home := t.TempDir()
		consumer := f.consumeIn(home)
		for kill := range *stormKills {
			storm.sentMore(30)
			storm.gateways[kill%2].role.kill()
			storm.startGateway(kill % 2)
			f.storedMore(1)
			consumer.kill()
			consumer = f.consumeIn(home)
			if kill == *stormKills/2 {
				killBroker()
			}
		}
		storm.sentMore(stormRequests)
		storm.stop.Store(true)
		clients.Wait()
		f.caughtUp(waitTimeout)
		consumer.interrupt()
		storm.audit()
		f.audit()
		return f.withFaults(2 * *stormKills)
	})
}

// storm is the clients of one round and their gateways.
type storm struct {
	f        *fixture
	base     time.Time
	gateways [2]struct {
		address string
		role    *role
	}
	next, done atomic.Int64 // requests
	stop       atomic.Bool
}

func (s *storm) startGateway(i int) {
	gateway := &s.gateways[i]
	gateway.role = start(s.f.t, command{
		arguments:   []string{"ingest", "--listen", gateway.address, "--brokers", s.f.broker, "--topic", s.f.topic, "--metrics-address", "none"},
		environment: s.f.environment(s.f.database),
	})
}

// send is a client: it sends requests until the storm is over, each until it was answered three times.
func (s *storm) send() {
	for !s.stop.Load() {
		number := s.next.Add(1) - 1
		for attempt, answers := int64(0), 0; answers < stormSends; attempt++ {
			if s.post(number, s.gateways[(number+attempt)%2].address) {
				answers++
			}
		}
		s.done.Add(1)
	}
}

// post reports whether a gateway has acknowledged a request. Every second request has a key; of the others the device numbers the readings.
func (s *storm) post(number int64, address string) bool {
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/api/v1/readings", strings.NewReader(s.body(number)))
	if err != nil {
		s.f.t.Error(err)
		return true
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	if number%2 == 0 {
		request.Header.Set("Idempotency-Key", fmt.Sprintf("request-%d", number))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false // the gateway was killed
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	switch response.StatusCode {
	case http.StatusAccepted:
		return true
	case http.StatusServiceUnavailable, http.StatusConflict:
	default:
		s.f.t.Errorf("request %d: %s: %s", number, response.Status, answer)
	}
	return false
}

// body has readings of several customers, none of which another request has.
func (s *storm) body(number int64) string {
	var lines strings.Builder
	for i := range int64(stormReadings) {
		n := number*stormReadings + i
		fmt.Fprintf(&lines, `{"customer_id":"CUST_%05d","heart_rate":%d,"timestamp":%q`, n%50+1, 60+n%40, s.base.Add(time.Duration(n)*time.Millisecond).Format(time.RFC3339Nano))
		if number%2 == 1 {
			fmt.Fprintf(&lines, `,"device_id":"w-%d","seq":%d`, n%50, n)
		}
		lines.WriteString("}\n")
	}
	return lines.String()
}

// sentMore waits until so many more requests were answered three times.
func (s *storm) sentMore(count int64) {
	from := s.done.Load()
	await(s.f.t, longWaitTimeout, func() string {
		if done := s.done.Load() - from; done < count {
			return fmt.Sprintf("%d requests were answered three times, want %d", done, count)
		}
		return ""
	})
}

// audit counts the rows: each reading once.
func (s *storm) audit() {
	s.f.t.Helper()
	want := s.next.Load() * stormReadings
	rows := value[int64](s.f.t, s.f.pool, `SELECT count(*) FROM heartbeat_records`)
	distinct := value[int64](s.f.t, s.f.pool, `SELECT count(DISTINCT (customer_id, event_timestamp)) FROM heartbeat_records`)
	skipped := value[int64](s.f.t, s.f.pool, `SELECT sum(skipped)::bigint FROM ingest_progress`)
	if rows != want || distinct != want {
		s.f.t.Errorf("%d rows of %d readings are stored, want %d of each", rows, distinct, want)
	}
	if skipped < want*(stormSends-1) {
		s.f.t.Errorf("%d records were skipped, want at least %d", skipped, want*(stormSends-1))
	}
}
