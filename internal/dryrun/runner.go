package dryrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"heartbeat/internal/alarm"
	"heartbeat/internal/backoff"
)

// What a Runner takes. A dry run of more is for the command, which has a process of its own.
const (
	MaxLimits = 100
	MaxSpan   = 7 * 24 * time.Hour

	maxReadings  = 50_000_000
	maxCustomers = 100_000 // about 70 MB
	longest      = 15 * time.Minute
)

const (
	// keep is how long a result stays in memory.
	keep = 10 * time.Minute
	// burst is for how long a dry run works before it pauses, and rest the pause as a multiple of the work: a third of a processor is
	// taken at most.
	burst = 5 * time.Millisecond
	rest  = 2
	// shownChanges is how many customers a result names.
	shownChanges = 1000
)

// Watch is told how far a dry run is. Its error ends the dry run.
type Watch func(read, records int64, customers int) error

// Try runs the detector with proposed limits over stored readings.
type Try func(ctx context.Context, proposed []alarm.Limit, over Period, watch Watch) (Result, error)

// State says what became of a dry run.
type State string

// The states.
const (
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Job is a dry run of a Runner.
type Job struct {
	ID      int64         `json:"trial_id"`
	By      string        `json:"by"` // who started it
	Limits  []alarm.Limit `json:"limits"`
	Period                // as asked for
	State   State         `json:"state"`
	Started time.Time     `json:"started_at"`
	Ended   time.Time     `json:"ended_at,omitzero"`
	Read    int64         `json:"read"` // readings so far
	Records int64         `json:"records"`
	Error   string        `json:"error,omitzero"`
	Result  *Result       `json:"result,omitzero"`
	Changed int           `json:"changed"` // customers, of whom the result names a thousand
}

// ErrRunning says that another dry run is under way.
var ErrRunning = errors.New("another dry run is under way")

var errCancelled = errors.New("cancelled")

// Runner does dry runs in the background, one at a time, with pauses so that the process's other work goes on. It may be called by
// several goroutines at a time.
type Runner struct {
	try   Try
	start chan context.Context // of the job that begins

	mu     sync.Mutex // guards what follows
	last   int64      // ID
	job    *Job       // the latest, nil: none, or forgotten
	cancel context.CancelCauseFunc
}

// NewRunner returns a Runner, which works while Run does.
func NewRunner(try Try) *Runner {
	return &Runner{try: try, start: make(chan context.Context, 1)}
}

// Start begins a dry run. It fails with ErrRunning, and with an error of Propose for limits that can't be.
func (r *Runner) Start(by string, proposed []alarm.Limit, over Period, now time.Time) (Job, error) {
	if _, err := Propose(nil, proposed, over.From); err != nil {
		return Job{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.job != nil && r.job.State == Running {
		return Job{}, ErrRunning
	}
	ctx, cancel := context.WithCancelCause(context.Background()) // the request ends before the job
	r.last++
	r.job = &Job{ID: r.last, By: by, Limits: proposed, Period: over, State: Running, Started: now}
	r.cancel = cancel
	r.start <- ctx
	return *r.job, nil
}

// Latest returns the latest dry run, as long as it is known.
func (r *Runner) Latest() (Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.job == nil {
		return Job{}, false
	}
	return *r.job, true
}

// Cancel ends the dry run that is under way, if it is that one.
func (r *Runner) Cancel(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.job != nil && r.job.ID == id && r.job.State == Running {
		r.cancel(errCancelled)
	}
}

// Run works until the context ends.
func (r *Runner) Run(ctx context.Context) error {
	forget := time.NewTimer(keep)
	defer forget.Stop()
	for {
		select {
		case job := <-r.start:
			r.run(ctx, job)
			forget.Reset(keep)
		case <-forget.C:
			r.forget()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *Runner) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.job != nil && r.job.State != Running {
		r.job = nil
	}
}

// run does one dry run, which ends with either context.
func (r *Runner) run(ctx, asked context.Context) {
	job, _ := r.Latest()
	asked, cancel := context.WithTimeoutCause(asked, longest, fmt.Errorf("not done after %v: choose a shorter time", longest))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	worked := time.Now()
	result, err := r.try(asked, job.Limits, job.Period, func(read, records int64, customers int) error {
		r.progress(read, records)
		if err := within(records, customers); err != nil {
			return err
		}
		if time.Since(worked) < burst {
			return nil
		}
		err := backoff.Sleep(asked, rest*time.Since(worked))
		worked = time.Now()
		return err
	})
	if cause := context.Cause(asked); err != nil && cause != nil {
		err = cause
	}
	r.finish(&result, err)
}

func within(records int64, customers int) error {
	switch {
	case records > maxReadings:
		return fmt.Errorf("that time and the hours before it, which prepare the detector, have %d records: the console takes %d at most; "+
			"choose a shorter time, or use heartbeat limits try", records, maxReadings)
	case customers > maxCustomers:
		return fmt.Errorf("the readings are of more than %d customers: use heartbeat limits try", maxCustomers)
	}
	return nil
}

func (r *Runner) progress(read, records int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.job.Read, r.job.Records = read, records
}

func (r *Runner) finish(result *Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.job.Ended = time.Now()
	switch {
	case errors.Is(err, errCancelled):
		r.job.State = Cancelled
	case err != nil:
		r.job.State, r.job.Error = Failed, err.Error()
	default:
		r.job.State, r.job.Changed = Done, len(result.Changed)
		result.Changed = slices.Clone(result.Changed[:min(len(result.Changed), shownChanges)])
		r.job.Result = result
	}
	r.cancel(nil)
}
