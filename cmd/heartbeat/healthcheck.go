package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type healthcheckCommand struct {
	URL string `arg:"" placeholder:"URL" help:"What to ask, such as http://127.0.0.1:9464/readyz."`
}

const healthcheckTimeout = 3 * time.Second

// Run asks a role in the same container how it is. The image holds nothing but the binary, so nothing else could.
func (c *healthcheckCommand) Run(ctx context.Context, env *environment) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return errors.New("check health: the argument is not a URL")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return fmt.Errorf("check health at %s: %w", request.URL.Redacted(), err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("check health at %s: %s: %s", request.URL.Redacted(), response.Status, strings.TrimSpace(string(body)))
	}
	fmt.Fprintln(env.stdout, strings.TrimSpace(string(body)))
	return nil
}
