package app

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"heartbeat/internal/postgres"
	"heartbeat/internal/postgres/query"
)

// DefaultPassword is the published password of a database on the user's own machine.
const DefaultPassword = "heartbeat_pass"

// banner prints where everything is and what to try.
func (u *up) banner() {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	brokers, database := strings.Join(u.options.Kafka.Addresses(), ","), u.options.Database
	b.WriteString("\n  Heartbeat is up\n\n")
	line("Console", "http://%s", u.console.Addr())
	line("Ingest", "http://%s/api/v1/readings", u.ingest.Addr())
	line("Kafka", "%s, topic %s%s", brokers, u.options.Kafka.Topic, u.note(u.ownBroker,
		": an embedded stand-in for development; use Apache Kafka in production"))
	if u.ownDatabase {
		line("PostgreSQL", "%s:%d, database %s, user %s, password %s", database.Host, database.Port, database.Database, database.User, u.shownPassword())
	} else {
		line("PostgreSQL", "%s", postgres.Describe(database))
	}
	line("Fleet", "%d customers, %g readings a second", u.options.Produce.Fleet.Customers, math.Round(100*u.options.Produce.PerSecond())/100)
	line("Data", "%s, kept between runs; readings for %s", u.options.DataDir, u.retention())
	b.WriteString("\n  Try\n\n")
	if u.ownDatabase {
		fmt.Fprintf(&b, "    %spsql -h %s -p %d -U %s %s -c 'SELECT * FROM vw_recent_anomalies LIMIT 10'\n",
			u.passwordVariable(), database.Host, database.Port, database.User, database.Database)
	}
	fmt.Fprintf(&b, "    kcat -b %s -t %s -C -o end\n", brokers, u.options.Kafka.Topic)
	b.WriteString("\n  Ctrl-C stops everything in order. Not a medical device.\n\n")
	fmt.Fprint(u.options.Out, b.String())
}

// shownPassword is the password where it is the published default. Others appear nowhere in the output.
func (u *up) shownPassword() string {
	if u.options.Database.Password == DefaultPassword {
		return DefaultPassword
	}
	return "as set in POSTGRES_PASSWORD"
}

func (u *up) passwordVariable() string {
	if u.options.Database.Password == DefaultPassword {
		return "PGPASSWORD=" + DefaultPassword + " "
	}
	return ""
}

func (u *up) note(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}

func (u *up) retention() string {
	if u.options.Retention == 0 {
		return "ever"
	}
	return u.options.Retention.String()
}

// summary prints what this run has stored.
func (u *up) summary() error {
	ctx, cancel := context.WithTimeout(context.Background(), catchUpTime)
	defer cancel()
	pool, err := postgres.Open(ctx, u.options.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	after, err := query.ReadTotals(ctx, pool)
	if err != nil {
		return fmt.Errorf("sum up: %w", err)
	}
	elapsed := time.Since(u.began).Round(time.Second)
	fmt.Fprintf(u.options.Out, "\n  Stored in %s: %d valid readings, %d anomalies with an alert each, %d dead letters.\n"+
		"  In all: %d valid readings, %d anomalies. Data is kept in %s: the next run goes on from here, --fresh starts over.\n\n",
		elapsed, after.Records-u.before.Records, after.Anomalies-u.before.Anomalies, after.DeadLetters-u.before.DeadLetters,
		after.Records, after.Anomalies, u.options.DataDir)
	return nil
}
