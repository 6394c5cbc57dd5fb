package main

import (
	"fmt"

	"heartbeat/grafana"
)

type grafanaCommand struct {
	Directory string `arg:"" placeholder:"DIR" help:"Where to write, such as /etc/grafana/provisioning. Other files there stay."`
}

// Help says what a Grafana server needs besides the files.
func (grafanaCommand) Help() string {
	return `Start Grafana with GF_PATHS_PROVISIONING set to the directory, and with these variables, which the files refer to:

    GRAFANA_POSTGRES_HOST, _PORT, _DB, _USER, _PASSWORD, _SSLMODE, _SSLROOTCERT    a user of the role heartbeat_grafana
    GRAFANA_PROMETHEUS_URL                                                         for the pipeline's own dashboard
    HEARTBEAT_ALERT_WEBHOOK                                                        where alerts are posted`
}

// Run writes the files.
func (c *grafanaCommand) Run(env *environment) error {
	written, err := grafana.Write(c.Directory)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "wrote %d files into %s\n", len(written), c.Directory)
	return nil
}
