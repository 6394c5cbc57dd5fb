package dryrun

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heartbeat/internal/alarm"
)

var high = []alarm.Limit{{Scope: "fleet", High: 150}}

// begin returns a Runner at work, whose dry runs are those of try.
func begin(t *testing.T, try Try) *Runner {
	t.Helper()
	runner := NewRunner(try)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	return runner
}

func startOne(t *testing.T, runner *Runner) Job {
	t.Helper()
	job, err := runner.Start("anna", high, Period{start, start.Add(time.Hour)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestRunnerDoesOneAtATimeAndForgetsItsResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runner := begin(t, func(ctx context.Context, proposed []alarm.Limit, over Period, watch Watch) (Result, error) {
			time.Sleep(time.Minute)
			err := watch(500, 1000, 10)
			time.Sleep(time.Minute)
			result := Result{Period: over, Readings: 1000, Proposed: Alarms{RateHigh: int(proposed[0].High)}}
			for i := range shownChanges + 5 {
				result.Changed = append(result.Changed, Changed{Customer: fmt.Sprint(i)})
			}
			return result, err
		})
		if _, known := runner.Latest(); known {
			t.Error("there is a dry run before the first")
		}
		startOne(t, runner)
		if _, err := runner.Start("ben", high, Period{start, start.Add(time.Hour)}, time.Now()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second one gets %v, want ErrRunning", err)
		}
		time.Sleep(90 * time.Second)
		if job, _ := runner.Latest(); job.State != Running || job.Read != 500 || job.Records != 1000 || job.By != "anna" {
			t.Errorf("under way is %+v", job)
		}
		time.Sleep(5 * time.Minute)
		job, _ := runner.Latest()
		if job.State != Done || job.Result == nil || job.Result.Proposed.RateHigh != 150 || len(job.Result.Changed) != shownChanges || job.Changed != shownChanges+5 {
			t.Errorf("done is %+v", job)
		}
		if second := startOne(t, runner); second.ID != job.ID+1 {
			t.Errorf("the second has the number %d after %d", second.ID, job.ID)
		}
		time.Sleep(5*time.Minute + keep)
		if job, known := runner.Latest(); known {
			t.Errorf("after %v %+v is still known", keep, job)
		}
	})
}

// TestRunnerPauses has dry runs that work 10 ms between two calls.
func TestRunnerPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runner := begin(t, func(_ context.Context, _ []alarm.Limit, _ Period, watch Watch) (Result, error) {
			for i := range int64(100) {
				time.Sleep(10 * time.Millisecond)
				if err := watch(i, 100, 1); err != nil {
					return Result{}, err
				}
			}
			return Result{}, nil
		})
		startOne(t, runner)
		time.Sleep(2900 * time.Millisecond)
		if job, _ := runner.Latest(); job.State != Running {
			t.Errorf("1 s of work is done within 2.9 s: it takes more than a third of the time")
		}
		time.Sleep(200 * time.Millisecond)
		if job, _ := runner.Latest(); job.State != Done {
			t.Errorf("1 s of work is %s after 3.1 s", job.State)
		}
	})
}

func TestRunnerEndsWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		records   int64
		customers int
		cancel    bool
		state     State
		text      string
	}{
		"too many readings":  {maxReadings + 1, 0, false, Failed, "choose a shorter time"},
		"too many customers": {maxReadings, maxCustomers + 1, false, Failed, "more than 100000 customers"},
		"too long":           {maxReadings, maxCustomers, false, Failed, "not done after 15m0s"},
		"cancelled":          {maxReadings, maxCustomers, true, Cancelled, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				runner := begin(t, func(ctx context.Context, _ []alarm.Limit, _ Period, watch Watch) (Result, error) {
					if err := watch(0, test.records, test.customers); err != nil {
						return Result{}, err
					}
					<-ctx.Done()
					return Result{}, errors.New("the query was ended")
				})
				job := startOne(t, runner)
				if test.cancel {
					time.Sleep(time.Minute)
					runner.Cancel(job.ID - 1)
					synctest.Wait()
					if job, _ := runner.Latest(); job.State != Running {
						t.Errorf("cancelling another one makes it %s", job.State)
					}
					runner.Cancel(job.ID)
					synctest.Wait()
				}
				for job, _ = runner.Latest(); job.State == Running; job, _ = runner.Latest() {
					time.Sleep(time.Second)
				}
				if job.State != test.state || !strings.Contains(job.Error, test.text) || job.Result != nil {
					t.Errorf("it is %+v, want it %s with %q", job, test.state, test.text)
				}
				startOne(t, runner) // the next one may begin
			})
		})
	}
}

func TestRunnerEndsItsDryRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runner := NewRunner(func(ctx context.Context, _ []alarm.Limit, _ Period, _ Watch) (Result, error) {
			<-ctx.Done()
			return Result{}, ctx.Err()
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- runner.Run(ctx) }()
		startOne(t, runner)
		synctest.Wait()
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
		if job, _ := runner.Latest(); job.State != Failed {
			t.Errorf("the dry run is %s", job.State)
		}
		if _, err := runner.Start("anna", []alarm.Limit{{Scope: "fleet", High: 300}}, Period{start, start.Add(time.Hour)}, time.Now()); err == nil {
			t.Error("a limit of 300 is tried")
		}
	})
}
