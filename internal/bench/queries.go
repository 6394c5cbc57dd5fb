package bench

import (
	"context"
	"time"

	"heartbeat/internal/readmodel"
)

// dashboardQuery is a query of a dashboard.
type dashboardQuery struct {
	name string
	run  func(context.Context) error
}

const (
	someCustomer = "CUST_00042"
	page         = 50
)

// dashboardQueries are the console's queries and those of the contract's views.
func (d *database) dashboardQueries() []dashboardQuery {
	now := time.Now()
	hour := readmodel.Span{From: now.Add(-time.Hour), To: now, Step: time.Minute}
	return append([]dashboardQuery{
		{"totals", func(ctx context.Context) error { _, err := d.dashboard.Totals(ctx); return err }},
		{"fleet, every customer", func(ctx context.Context) error { _, err := d.dashboard.Fleet(ctx); return err }},
		{"trend, 1 h", func(ctx context.Context) error { _, err := d.dashboard.Trend(ctx, hour); return err }},
		{"trend, 24 h", func(ctx context.Context) error {
			_, err := d.dashboard.Trend(ctx, readmodel.Span{From: now.Add(-24 * time.Hour), To: now, Step: 10 * time.Minute})
			return err
		}},
		{"lag, 24 h", func(ctx context.Context) error {
			_, err := d.dashboard.Lag(ctx, readmodel.Span{From: now.Add(-24 * time.Hour), To: now, Step: 10 * time.Minute})
			return err
		}},
		{"anomalies, newest", func(ctx context.Context) error {
			_, err := d.dashboard.Anomalies(ctx, readmodel.AnomalyQuery{Limit: page})
			return err
		}},
		{"anomalies of a customer", func(ctx context.Context) error {
			_, err := d.dashboard.Anomalies(ctx, readmodel.AnomalyQuery{Customer: someCustomer, Limit: page})
			return err
		}},
		{"anomalies of a type", func(ctx context.Context) error {
			_, err := d.dashboard.Anomalies(ctx, readmodel.AnomalyQuery{Type: "TACHYCARDIA", Limit: page})
			return err
		}},
		{"customer", func(ctx context.Context) error { _, err := d.dashboard.Customer(ctx, someCustomer); return err }},
		{"customer's trace", func(ctx context.Context) error {
			_, err := d.dashboard.Trace(ctx, readmodel.Trace{Customer: someCustomer, From: hour.From, To: hour.To, Limit: 1000})
			return err
		}},
		{"customer's minutes, 1 h", func(ctx context.Context) error {
			_, err := d.dashboard.Minutes(ctx, someCustomer, hour)
			return err
		}},
		{"progress", func(ctx context.Context) error { _, err := d.dashboard.Progress(ctx); return err }},
		{"table partitions", func(ctx context.Context) error { _, err := d.dashboard.Tables(ctx, page); return err }},
		{"incidents", func(ctx context.Context) error { _, err := d.dashboard.Incidents(ctx, page); return err }},
		{"dead letters", func(ctx context.Context) error {
			_, err := d.dashboard.DeadLetters(ctx, readmodel.DeadLetterQuery{Limit: page})
			return err
		}},
		{"dead letters by reason", func(ctx context.Context) error { _, err := d.dashboard.Reasons(ctx); return err }},
	}, d.viewQueries()...)
}

// viewQueries read the contract's views as a dashboard does.
func (d *database) viewQueries() []dashboardQuery {
	run := func(query string, args ...any) func(context.Context) error {
		return func(ctx context.Context) error { return d.probe.Run(ctx, query, args...) }
	}
	return []dashboardQuery{
		{"vw_pipeline_summary", run(`SELECT * FROM vw_pipeline_summary`)},
		{"vw_recent_anomalies, newest", run(`SELECT * FROM vw_recent_anomalies LIMIT 100`)},
		{"vw_customer_bpm_summary of one", run(`SELECT * FROM vw_customer_bpm_summary WHERE customer_id = $1`, someCustomer)},
	}
}
