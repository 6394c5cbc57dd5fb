// Package silence decides who has fallen silent: the customers of one partition by a Watch, the fleet by Decide.
//
// Time is that of a Clock, one for each partition, which stands still while readings may wait: no deadline passes in a consumer that
// was stopped, lags, replays or has lost its broker.
//
// It does no I/O and knows nothing of alarms as rows. Nothing here is safe for concurrent use: all of it belongs to the worker of a
// partition, which calls Watch.Hear for each reading and Watch.Look once a second (package pipeline).
package silence
