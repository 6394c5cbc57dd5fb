// Package embedded runs the broker and the database that `heartbeat up` and the tests bring along: franz-go's kfake
// over TCP with its data on disk, and a private PostgreSQL.
//
// It refuses to be more than a convenience of one machine: both listen on the loopback address alone, the broker is a
// fake that keeps no replicas, and nothing here tunes a server beyond what its caller asks for. It speaks neither SQL
// nor Kafka to what it starts, with one exception: trimming the broker's log, which nobody else would do.
//
// Every Start function is safe to call concurrently, but a directory serves one caller at a time: each starter locks its
// own, and the kernel drops that lock when the process dies. Contexts bound the start, not the life of what was started.
//
// On the path of a reading it stands outside: it provides the servers that internal/kafka and internal/postgres talk
// to, as a stranger would have installed them. Unix only.
package embedded

import "heartbeat/internal/port"

// Host is the address that everything here listens on.
const Host = port.Host
