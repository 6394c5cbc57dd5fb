package query_test

import "heartbeat/internal/postgres/pgtest"

const topic = pgtest.Topic
