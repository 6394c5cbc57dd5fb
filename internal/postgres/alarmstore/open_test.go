package alarmstore_test

import (
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
)

func TestVersionsOfOpenAlarms(t *testing.T) {
	t.Parallel()
	pool := pgtest.Database(t)
	store := alarmstore.New(pool)
	fleet(t, pool, store)
	subjects := func(limit int) ([]string, int) {
		versions, total, err := store.OpenVersions(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		alarms, err := store.Alarms(t.Context(), append(slices.Collect(maps.Keys(versions)), alarm.ID{1}))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, held := range alarms {
			if held.Version != versions[held.ID] {
				t.Errorf("%s is at version %d, want %d", held.Subject, versions[held.ID], held.Version)
			}
			names = append(names, held.Subject)
		}
		slices.Sort(names)
		return names, total
	}
	names, total := subjects(100)
	want := []string{"CUST_00000", "CUST_00001", "CUST_00010", "CUST_00011", "CUST_00020", "CUST_00021", "CUST_00022"}
	if diff := gocmp.Diff(want, names); diff != "" || total != 7 {
		t.Errorf("of %d open alarms (-want +got):\n%s", total, diff)
	}
	names, total = subjects(2)
	if diff := gocmp.Diff([]string{"CUST_00020", "CUST_00021"}, names); diff != "" || total != 7 {
		t.Errorf("the worst two of %d (-want +got):\n%s", total, diff)
	}
}
