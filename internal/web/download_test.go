package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/readmodel"
	"heartbeat/internal/web"
)

func (s stored) Days(context.Context, time.Time, time.Time) ([]time.Time, error) {
	return []time.Time{noon().Truncate(24 * time.Hour)}, s.fault
}

func (s stored) Page(context.Context, readmodel.Page) ([]readmodel.Reading, error) {
	return []readmodel.Reading{
		{Customer: "CUST_00042", BPM: 75, EventTime: noon(), Class: "NORMAL", Topic: "heartbeat-events", Partition: 2, Offset: 7},
		{Customer: "CUST_00042", BPM: 0, EventTime: noon().Add(time.Second), Class: "INVALID", Topic: "heartbeat-events", Partition: 2, Offset: 9},
	}, s.fault
}

// manyReadings are the readings of one day, a millisecond apart.
type manyReadings struct {
	stored
	count int64
	fault error // of the second page

	entered, release chan struct{} // if not nil, the first page says that it was asked for, and waits
}

func (m manyReadings) Page(ctx context.Context, page readmodel.Page) ([]readmodel.Reading, error) {
	next := int64(0)
	if page.After != nil {
		next = page.After.Offset + 1
		if m.fault != nil {
			return nil, m.fault
		}
	} else if m.entered != nil {
		m.entered <- struct{}{}
		<-m.release
	}
	var readings []readmodel.Reading
	for ; next < m.count && len(readings) < page.Limit; next++ {
		readings = append(readings, readmodel.Reading{
			Customer: "CUST_00042", BPM: 75, EventTime: noon().Add(time.Duration(next) * time.Millisecond), Class: "NORMAL", Topic: "heartbeat-events", Offset: next,
		})
	}
	return readings, ctx.Err()
}

const aDay = "from=2026-02-20T00:00:00Z&to=2026-02-21T00:00:00Z"

func TestExportIsAFile(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for format, want := range map[string]struct{ name, media, begin string }{
		"csv":    {"CUST_00042_20260220T000000Z.csv", "text/csv; charset=utf-8", "customer_id,heart_rate,timestamp,class,kafka_topic,kafka_partition,kafka_offset\nCUST_00042,75,2026-02-20T12:00:00.123456Z,NORMAL,heartbeat-events,2,7\nCUST_00042,0,"},
		"ndjson": {"CUST_00042_20260220T000000Z.ndjson", "application/x-ndjson", `{"customer_id":"CUST_00042","heart_rate":75,`},
		"fhir":   {"CUST_00042_20260220T000000Z.fhir.ndjson", "application/fhir+ndjson", `{"resourceType":"Observation",`},
	} {
		w := get(server, "/api/v1/customers/CUST_00042/export?"+aDay+"&format="+format)
		if got := w.Header().Get("Content-Disposition"); w.Code != http.StatusOK || got != `attachment; filename="`+want.name+`"` {
			t.Errorf("%s: status %d, Content-Disposition %q", format, w.Code, got)
		}
		if diff := cmp.Diff(want.media, w.Header().Get("Content-Type")); diff != "" || !strings.HasPrefix(w.Body.String(), want.begin) {
			t.Errorf("%s: Content-Type (-want +got):\n%s\nbody:\n%s", format, diff, w.Body)
		}
	}
}

func TestExportOfNothingIsAProblem(t *testing.T) {
	t.Parallel()
	checkProblem(t, get(newServer(t, func(o *web.Options) { o.Readings = manyReadings{} }), "/api/v1/customers/CUST_00042/export"), http.StatusNotFound, "not_found")
	server := newServer(t, func(o *web.Options) { o.Readings = stored{fault: errors.New("refused")} })
	checkProblem(t, get(server, "/api/v1/customers/CUST_00042/export"), http.StatusServiceUnavailable, "database_unavailable")
	for _, wrong := range []string{"CUST_7/export", "CUST_00042/export?format=parquet", "CUST_00042/export?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z"} {
		checkProblem(t, get(server, "/api/v1/customers/"+wrong), http.StatusBadRequest, "bad_request")
	}
}

func TestExportsAtATimeAreFew(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	server := newServer(t, func(o *web.Options) { o.Readings = manyReadings{count: 1, entered: entered, release: release} })
	done := make(chan int, 2)
	for range 2 {
		go func() { done <- get(server, "/api/v1/customers/CUST_00042/export?"+aDay).Code }()
		<-entered
	}
	w := get(server, "/api/v1/customers/CUST_00042/export?"+aDay)
	checkProblem(t, w, http.StatusTooManyRequests, "too_many_requests")
	if w.Header().Get("Retry-After") != "10" {
		t.Errorf("Retry-After is %q, want 10", w.Header().Get("Retry-After"))
	}
	close(release)
	for range 2 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("an export that was under way ended with %d", status)
		}
	}
}

// request asks for an export and reads the head of the response.
func (r testServer) request(t *testing.T) *http.Response {
	t.Helper()
	c := r.send(t, "GET /api/v1/customers/CUST_00042/export?"+aDay+"&format=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("response %v, %v", response, err)
	}
	return response
}

func TestExportGoesOnAsLongAsItIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, func(o *web.Options) { o.Readings = manyReadings{count: 25_000} })
		began := time.Now()
		body := r.request(t).Body
		var text strings.Builder
		for {
			_, err := io.CopyN(&text, body, 24<<10) // a piece of 64 KiB within 3 s
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("after %s and %d bytes: %v", time.Since(began), text.Len(), err)
			}
			time.Sleep(time.Second)
		}
		lines := strings.Count(text.String(), "\n")
		if took := time.Since(began); lines != 25_000 || took < 2*time.Minute {
			t.Errorf("%d readings in %s, want 25,000 in more than all limits of requests", lines, took)
		}
	})
}

func TestExportThatIsNotTakenEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, func(o *web.Options) { o.Readings = manyReadings{count: 25_000} })
		stalled := []io.Reader{r.request(t).Body, r.request(t).Body}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if _, err := io.Copy(io.Discard, r.request(t).Body); err != nil { // there is a place again
			t.Error(err)
		}
		for _, body := range stalled {
			if _, err := io.Copy(io.Discard, body); err == nil {
				t.Error("a client that stalled takes its export for whole")
			}
		}
	})
}

func TestBrokenExportIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, func(o *web.Options) { o.Readings = manyReadings{count: 25_000, fault: errors.New("connection lost")} })
		text, err := io.ReadAll(r.request(t).Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("an export that broke off ended with %v after %d readings, want an unexpected end", err, strings.Count(string(text), "\n"))
		}
	})
}
