package pipeline

import "errors"

// Kind says what to do about an error of the store.
type Kind uint8

// The kinds, from most to least severe to the partition. An error that says nothing of itself is Fatal.
const (
	Fatal          Kind = iota // unforeseen: stop the partition, log an error, lose nothing
	Fenced                     // the partition has another owner: release it
	Stale                      // progress is not where the claim left it: read it again
	OutcomeUnknown             // COMMIT was sent and no answer came: read progress, go on from there
	BadData                    // the database refuses a value: find the one record
	Transient                  // an outage: the same batch again, for ever
)

// Fault is an error with its kind.
type Fault struct {
	Kind Kind
	Err  error
}

func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// KindOf returns the kind of the first Fault in the chain of err, or Fatal.
func KindOf(err error) Kind {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault.Kind
	}
	return Fatal
}
