package notifier

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"heartbeat/internal/alarm"
	"heartbeat/internal/postgres/alarmstore"
	"heartbeat/internal/postgres/pgtest"
	"heartbeat/internal/testkit/freeport"
	"heartbeat/internal/testkit/prerequisite"
)

// alertmanager is a real one, without memory of an earlier one.
type alertmanager struct {
	address string
	stop    func()
}

func startAlertmanager(t *testing.T, address string) *alertmanager {
	t.Helper()
	directory := t.TempDir()
	config := filepath.Join(directory, "alertmanager.yaml")
	write(t, config, "route: {receiver: none}\nreceivers: [{name: none}]\n")
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, prerequisite.Program(t, "prometheus-alertmanager", "prometheus-alertmanager"), "--config.file="+config, "--storage.path="+filepath.Join(directory, "data"),
		"--web.listen-address="+address, "--cluster.listen-address=", "--log.level=error")
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	a := &alertmanager{address: address, stop: func() {
		cancel()
		_ = process.Wait()
	}}
	t.Cleanup(a.stop)
	pgtest.Await(t, "Alertmanager", func() bool {
		_, err := a.active()
		return err == nil
	})
	return a
}

// active returns the alarms that its API shows as active.
func (a *alertmanager) active() (ids []string, err error) {
	response, err := http.Get("http://" + a.address + "/api/v2/alerts?active=true&silenced=false&inhibited=false")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var alerts []struct{ Labels map[string]string }
	if err := json.NewDecoder(response.Body).Decode(&alerts); err != nil {
		return nil, err
	}
	for _, one := range alerts {
		ids = append(ids, one.Labels["alarm_id"]+" "+one.Labels["alertname"]+" "+one.Labels["customer"])
	}
	slices.Sort(ids)
	return ids, nil
}

func openAlarms(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT alarm_id || ' ' || condition || ' ' || subject FROM alarms WHERE closed_at IS NULL ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// A real Alertmanager shows the open alarms and no other: through raises, acknowledgements, ends, its own absence and the loss of all it
// knew.
func TestRealAlertmanagerShowsExactlyTheOpenAlarms(t *testing.T) {
	t.Parallel()
	prerequisite.Program(t, "prometheus-alertmanager", "prometheus-alertmanager")
	pool := pgtest.Database(t)
	clock := &clock{store: alarmstore.New(pool)}
	address := freeport.Address(t)
	path := filepath.Join(t.TempDir(), "notify.yaml")
	write(t, path, fmt.Sprintf("destinations: {am: {alertmanager: {url: 'http://%s', allow: [127.0.0.1]}}}\nroutes: [{to: [am]}]", address))
	for range 2 { // any number of notifiers
		start(t, Options{Pool: pool, File: path, now: clock.now})
	}
	var ids []alarm.ID
	raise := func() {
		ids = append(ids, uuid.New())
		applyTo(t, pool, fmt.Sprintf("CUST_%05d", len(ids)), ids[len(ids)-1], alarm.Raised, int64(len(ids)))
	}
	for range 4 {
		raise()
	}
	clock.await(t, pool, "an attempt while there is no Alertmanager", func() bool {
		return pgtest.Value[int](t, pool, `SELECT coalesce(max(failures), 0) FROM notification_destinations`) > 0
	})
	am := startAlertmanager(t, address)
	same := func(what string, open int) {
		t.Helper()
		var shown, want []string
		clock.await(t, pool, what, func() bool {
			shown, _ = am.active()
			want = openAlarms(t, pool)
			return len(want) == open && slices.Equal(shown, want)
		})
	}
	same("the open alarms", 4)
	act := func(id alarm.ID, kind alarm.Kind) {
		t.Helper()
		now, err := clock.now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := clock.store.Act(t.Context(), id, alarm.Action{Kind: kind, Actor: "anna"}, now); err != nil {
			t.Fatal(err)
		}
	}
	act(ids[0], alarm.Acknowledged)
	applyTo(t, pool, "CUST_00001", ids[0], alarm.Cleared, 11)
	applyTo(t, pool, "CUST_00002", ids[1], alarm.Cleared, 12) // not seen by anyone, so it stays
	raise()
	same("one closed, one ended unseen and one new", 4)
	act(ids[1], alarm.Acknowledged)
	same("the unseen one closed", 3)
	am.stop()
	raise()
	am = startAlertmanager(t, address)
	clock.ahead.Add(int64(time.Minute))
	same("the state of one that has forgotten everything", 4)
	if shown, _ := am.active(); !strings.Contains(strings.Join(shown, "\n"), "rate_high CUST_00006") {
		t.Errorf("shown are %v", shown)
	}
}
