package importstore_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heartbeat/internal/pipeline"
	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/importstore"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/postgres/schema"
)

// ingest signs in as the role that imports.
func ingest(t *testing.T) (pool, owner *postgres.Pool) {
	t.Helper()
	owner = pgtest.Database(t)
	passwords := map[schema.Role]string{schema.IngestRole: "ingest", schema.DashboardRole: "dashboard"}
	if err := schema.ApplyRoles(t.Context(), owner, passwords); err != nil {
		t.Fatal(err)
	}
	return pgtest.SignIn(t, owner, string(schema.IngestRole), "ingest"), owner
}

func open(t *testing.T, pool *postgres.Pool) *importstore.Session {
	t.Helper()
	session, err := importstore.Open(t.Context(), pool, func() { t.Error("the lock is held") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

// copied copies candidates.
func copied(t *testing.T, session *importstore.Session, all ...importstore.Candidate) {
	t.Helper()
	err := session.Copy(t.Context(), func() (importstore.Candidate, bool) {
		if len(all) == 0 {
			return importstore.Candidate{}, false
		}
		next := all[0]
		all = all[1:]
		return next, true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCompareGoesByCustomerTimeAndStoredValue(t *testing.T) {
	t.Parallel()
	pool, _ := ingest(t)
	store := pgtest.NewStoreOn(pool)
	at := pgtest.Noon
	pgtest.MustWrite(t, store, pgtest.MustClaim(t, store, pgtest.Partition, 0), pgtest.BatchOf([]pipeline.Reading{
		pgtest.Reading(0, 7, 72, at), pgtest.Reading(1, 7, 180.9, at), pgtest.Reading(2, 7, 0, at), pgtest.Reading(3, 7, 1e300, at),
	}))
	session := open(t, pool)
	of := func(rate float64) importstore.Candidate {
		return importstore.Candidate{Customer: 7, Rate: rate, Time: at}
	}
	later, other, old := of(72), of(72), of(50)
	later.Time, other.Customer, old.Time = at.Add(time.Microsecond), 8, at.Add(-time.Hour)
	later.Device = "w-7"
	copied(t, session,
		of(72), of(72.4), of(181), of(0), of(math.Copysign(0, -1)), of(math.Inf(1)), // stored
		of(180), of(-1), later, later, other, old) // not stored
	got, err := session.Compare(t.Context(), at.Add(-time.Minute))
	if want := (importstore.Comparison{Distinct: 9, Stored: 4, TooOld: 1, New: 4}); err != nil || got != want {
		t.Errorf("Compare is %+v, %v, want %+v", got, err, want)
	}
	var visited []importstore.Candidate
	err = session.New(t.Context(), at.Add(-time.Minute), func(c importstore.Candidate) error {
		c.Time = c.Time.UTC()
		visited = append(visited, c)
		return nil
	})
	if err != nil || len(visited) != 4 || !cmp.Equal(visited[3], later) || visited[2] != other {
		t.Errorf("the new readings are %+v, %v, want four, the last ones %+v and %+v", visited, err, other, later)
	}
}

func TestOneImportAtATime(t *testing.T) {
	t.Parallel()
	pool, _ := ingest(t)
	first := open(t, pool)
	waits, opened := make(chan bool, 1), make(chan error, 1)
	go func() {
		second, err := importstore.Open(t.Context(), pool, func() { waits <- true })
		if err == nil {
			second.Close()
		}
		opened <- err
	}()
	<-waits
	select {
	case err := <-opened:
		t.Fatalf("the second import begins while the first one runs (%v)", err)
	default:
	}
	first.Close()
	if err := <-opened; err != nil {
		t.Errorf("the second import after the first: %v", err)
	}
}

func TestRoleThatOnlyReadsCannotImport(t *testing.T) {
	t.Parallel()
	_, owner := ingest(t)
	dashboard := pgtest.SignIn(t, owner, string(schema.DashboardRole), "dashboard")
	if session, err := importstore.Open(t.Context(), dashboard, func() {}); err == nil || !strings.Contains(err.Error(), "temporary") {
		if err == nil {
			session.Close()
		}
		t.Errorf("opening an import as a role that only reads: %v, want an error", err)
	}
}
