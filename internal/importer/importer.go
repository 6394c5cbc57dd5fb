package importer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"heartbeat/internal/format"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/kafka/producer"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/importstore"
	"heartbeat/internal/postgres/partition"
	"heartbeat/internal/postgres/query"
	"heartbeat/internal/progress"
)

// Options say what to import.
type Options struct {
	Paths     []string    // files, zip archives and directories
	Format    format.Name // of all of them; empty: found in each
	Reading   format.Options
	Customers Customers
	DryRun    bool

	Pool      *postgres.Pool
	Publisher *producer.Publisher
	Topic     Topic
	Progress  func(Progress) // is called once a second; may be nil
	Logger    *slog.Logger
}

// Run imports. With an error, the summary says how far it came: what was sent is sent, and running it again sends the rest.
func Run(ctx context.Context, options Options) (Summary, error) {
	began := time.Now()
	r := &run{options: &options, now: began, listProgress: func(ctx context.Context) ([]progress.Stored, error) {
		return query.ListProgress(ctx, options.Pool)
	}}
	r.summary.DryRun, r.summary.Faults, r.summary.Formats = options.DryRun, []string{}, []*Format{}
	stop := r.report()
	err := r.run(ctx)
	stop()
	r.summary.Seconds = time.Since(began).Seconds()
	return r.summary, err
}

// run is one import.
type run struct {
	options      *Options
	now          time.Time
	listProgress func(context.Context) ([]progress.Stored, error)
	summary      Summary
	decoder      heartbeat.Decoder
	meter
}

func (r *run) run(ctx context.Context) error {
	session, err := importstore.Open(ctx, r.options.Pool, func() {
		r.options.Logger.Info("another import is running: this one waits for its end")
	})
	if err != nil {
		return err
	}
	defer session.Close()
	if err := r.copy(ctx, session); err != nil {
		return err
	}
	if r.summary.Readings == 0 {
		return nil
	}
	if err := r.awaitStored(ctx, "what the topic holds is stored, to compare with it"); err != nil {
		return err
	}
	oldest, err := r.oldest(ctx)
	if err != nil {
		return err
	}
	r.step("comparing with the stored readings", 0)
	compared, err := session.Compare(ctx, oldest)
	if err != nil {
		return err
	}
	r.summary.Distinct, r.summary.Stored, r.summary.TooOld = compared.Distinct, compared.Stored, compared.TooOld
	if compared.TooOld > 0 {
		r.options.Logger.Warn("readings are older than consumers keep them: they are not sent", "readings", compared.TooOld, "retention", r.summary.Retention)
	}
	if r.options.DryRun {
		r.summary.Added = compared.New
		return nil
	}
	if compared.New == 0 {
		return nil
	}
	if err := r.send(ctx, session, oldest, compared.New); err != nil {
		return err
	}
	return r.awaitStored(ctx, "the readings sent are stored")
}

// oldest is the event time of the oldest reading that consumers accept until the import has ended: with a margin for its duration.
func (r *run) oldest(ctx context.Context) (time.Time, error) {
	const margin = time.Hour
	retention, err := partition.PublishedRetention(ctx, r.options.Pool)
	if err != nil || retention == 0 {
		return time.Time{}, err
	}
	r.summary.Retention = retention
	return r.now.Add(-retention + min(margin, retention/10)), nil
}

// copy reads the files into the session's table.
func (r *run) copy(ctx context.Context, session *importstore.Session) error {
	for _, path := range r.options.Paths {
		r.total += size(path)
	}
	r.step("reading", r.total)
	next, stop := iter.Pull(r.candidates(ctx))
	defer stop()
	if err := session.Copy(ctx, next); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// candidates are the readings of all files. A file that cannot be read on is a fault of the summary; the others follow.
func (r *run) candidates(ctx context.Context) iter.Seq[importstore.Candidate] {
	return func(yield func(importstore.Candidate) bool) {
		for _, path := range r.options.Paths {
			visited := &files{
				options: r.options,
				read:    func(n int) { r.done.Add(int64(n)) },
				visit:   func(part part) error { return r.part(ctx, part, yield) },
				skipped: func(string) { r.summary.Skipped++ },
				goOn: func(err error) error {
					if err == nil || ctx.Err() != nil || errors.Is(err, errStopped) {
						return err
					}
					r.summary.fault(err.Error())
					return nil
				},
			}
			if visited.goOn(visited.path(path)) != nil {
				return
			}
		}
	}
}

var errStopped = errors.New("the copying has ended")

// part reads one text. Its fault is one of the summary: an archive goes on with the next entry.
func (r *run) part(ctx context.Context, part part, yield func(importstore.Candidate) bool) error {
	found := r.summary.format(part.format)
	found.Files++
	reading := r.options.Reading
	reading.Name = filepath.Base(part.name)
	for item, err := range format.Read(part.format, part.reader, reading) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.summary.fault(fmt.Sprintf("%s: %v", part.name, err))
			return nil
		}
		candidate, rejection := r.candidate(&item)
		if rejection != nil {
			found.leaveOut(func() string { return fmt.Sprintf("%s, number %d", part.name, item.Position+1) }, rejection)
			continue
		}
		found.add(candidate.Time)
		r.summary.Readings++
		r.readings.Add(1)
		if !yield(candidate) {
			return errStopped
		}
	}
	return nil
}

func (r *run) candidate(item *format.Item) (importstore.Candidate, *heartbeat.Rejection) {
	if item.Rejection != nil {
		return importstore.Candidate{}, item.Rejection
	}
	sample := &item.Sample
	customer, rejection := r.options.Customers.of(sample)
	if rejection != nil {
		return importstore.Candidate{}, rejection
	}
	event := event{customer, sample.Rate, sample.Time, sample.Device}
	if rejection := event.check(&r.decoder, r.now); rejection != nil {
		return importstore.Candidate{}, rejection
	}
	return importstore.Candidate(event), nil
}
