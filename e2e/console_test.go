package e2e_test

import (
	"fmt"
	"net/http"
	"time"

	"heartbeat/internal/testkit/freeport"
)

// console is a running `serve`.
type console struct {
	*role
	address string
}

// serve starts the console on the consumers' database.
func (f *fixture) serve(more ...string) *console {
	f.t.Helper()
	address := freeport.Address(f.t)
	database := f.database
	if f.consumerDatabase != "" {
		database = f.consumerDatabase
	}
	return &console{address: address, role: start(f.t, command{
		arguments:   append([]string{"serve", "--brokers", f.broker, "--topic", f.topic, "--group", f.group, "--listen", address}, more...),
		environment: f.environment(database),
	})}
}

// waitReady waits until the console says that readings are stored, and answers from the database.
func (c *console) waitReady() {
	c.t.Helper()
	for _, path := range []string{"/readyz", "/api/v1/pipeline", "/api/v1/alerts"} {
		await(c.t, waitTimeout, func() string {
			if status, err := c.get(path); err != nil || status != http.StatusOK {
				return fmt.Sprintf("%s of the console: status %d, %v\n%s", path, status, err, tail(c.output.String(), 10))
			}
			return ""
		})
	}
}

func (c *console) get(path string) (status int, err error) {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get("http://" + c.address + path)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}
