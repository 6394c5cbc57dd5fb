package readmodel

import "errors"

// ErrNotFound is the error of asking for one thing that is not there.
var ErrNotFound = errors.New("not found")
