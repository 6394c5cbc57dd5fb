package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/device"
	"heartbeat/internal/heartbeat"
)

type deviceCommand struct {
	Add    deviceAdd    `cmd:"" help:"Add a device and print its token, which is shown this once."`
	List   deviceList   `cmd:"" help:"List the devices."`
	Rotate deviceRotate `cmd:"" help:"Give a device a new token and print it; the one before stays valid for a while."`
	Revoke deviceRevoke `cmd:"" help:"End the tokens of a device for good. Devices are never deleted: logs keep their names."`
}

type deviceFlags struct {
	postgresFlags `group:"PostgreSQL"`
}

func (f deviceFlags) open(ctx context.Context, env *environment) (*app.Devices, error) {
	database, err := f.options("device")
	if err != nil {
		return nil, err
	}
	return app.OpenDevices(ctx, database, env.logger)
}

// deviceName is a device's name in any case.
type deviceName string

// Validate refuses a name that no device can have.
func (n deviceName) Validate() error { return device.CheckName(n.clean()) }

func (n deviceName) clean() string { return device.CleanName(string(n)) }

type deviceAdd struct {
	deviceFlags

	Name     deviceName `arg:"" help:"Of the device."`
	Customer *string    `placeholder:"ID" help:"It sends readings of this customer only, such as CUST_00042."`
	Cohort   *string    `placeholder:"NAME" help:"It sends readings of the customers who are in this cohort at the moment."`
	All      bool       `help:"It sends readings of every customer."`
	Rate     *float64   `placeholder:"N" help:"At most so many readings a second; the gateway's default unless given."`
}

// Validate refuses a device that cannot be.
func (c *deviceAdd) Validate() error {
	if _, err := c.device(); err != nil {
		return err
	}
	return c.postgresFlags.Validate()
}

func (c *deviceAdd) device() (added device.Device, err error) {
	added = device.Device{Name: c.Name.clean(), Cohort: deref(c.Cohort), Rate: deref(c.Rate)}
	switch {
	case c.Customer != nil && c.Cohort == nil && !c.All:
		added.Scope = device.ForCustomer
		added.Customer, err = heartbeat.ParseCustomerID(*c.Customer)
	case c.Customer == nil && c.Cohort != nil && !c.All:
		added.Scope = device.ForCohort
		err = device.CheckCohort(added.Cohort)
	case c.Customer == nil && c.Cohort == nil && c.All:
		added.Scope = device.ForAll
	default:
		err = errors.New("say whose readings the device sends: one of --customer, --cohort and --all")
	}
	if err == nil && c.Rate != nil {
		err = device.CheckRate(*c.Rate)
	}
	return added, err
}

// Run adds a device.
func (c *deviceAdd) Run(ctx context.Context, env *environment) error {
	added, err := c.device()
	if err != nil {
		return err
	}
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	token, err := admin.Add(ctx, added)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "added %s, valid within 5 s; its token cannot be shown again:\n", added.Name)
	fmt.Fprintln(env.stdout, token)
	return nil
}

type deviceList struct {
	deviceFlags

	JSON bool `name:"json" help:"Print as JSON."`
}

// Run prints all devices.
func (c *deviceList) Run(ctx context.Context, env *environment) error {
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	all, err := admin.List(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.stdout, all)
	}
	table := newTable(env.stdout, "NAME", "SENDS FOR", "RATE", "CREATED", "ROTATED", "OLD TOKEN UNTIL", "REVOKED")
	for i := range all {
		d := &all[i]
		table.row(d.Name, sendsFor(d), rateOrDefault(d.Rate), d.CreatedAt.Format(time.RFC3339), timeOrDash(deref(d.RotatedAt)),
			timeOrDash(deref(d.PreviousUntil)), timeOrDash(deref(d.RevokedAt)))
	}
	return table.flush()
}

func sendsFor(d *device.Registration) string {
	switch d.Scope {
	case device.ForCustomer:
		return deref(d.Customer)
	case device.ForCohort:
		return "cohort " + deref(d.Cohort)
	}
	return string(d.Scope)
}

func rateOrDefault(rate *float64) string {
	if rate == nil {
		return "default"
	}
	return fmt.Sprintf("%g/s", *rate)
}

type deviceRotate struct {
	deviceFlags

	Name    deviceName    `arg:"" help:"Of the device."`
	Overlap time.Duration `default:"10m" help:"How long the token before stays valid, 0 to 168h (${default})."`
}

// Validate refuses an impossible overlap.
func (c *deviceRotate) Validate() error {
	if c.Overlap < 0 || c.Overlap > device.MaxOverlap {
		return fmt.Errorf("--overlap %s: want 0 to 168h", c.Overlap)
	}
	return c.postgresFlags.Validate()
}

// Run rotates a token.
func (c *deviceRotate) Run(ctx context.Context, env *environment) error {
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	token, err := admin.Rotate(ctx, c.Name.clean(), c.Overlap)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "rotated the token of %s; the one before ends in %s. The new one, valid within 5 s, cannot be shown again:\n", c.Name.clean(), c.Overlap)
	fmt.Fprintln(env.stdout, token)
	return nil
}

type deviceRevoke struct {
	deviceFlags

	Name deviceName `arg:"" help:"Of the device."`
}

// Run revokes a device.
func (c *deviceRevoke) Run(ctx context.Context, env *environment) error {
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Revoke(ctx, c.Name.clean()); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "revoked %s; its tokens end within 5 s\n", c.Name.clean())
	return nil
}
