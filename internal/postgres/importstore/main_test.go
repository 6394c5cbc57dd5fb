package importstore_test

import (
	"os"
	"testing"

	"heartbeat/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
