package main

import (
	"context"
	"fmt"
	"time"

	"heartbeat/internal/app"
	"heartbeat/internal/users"
)

type userCommand struct {
	Add     userAdd     `cmd:"" help:"Add a user of the console."`
	List    userList    `cmd:"" help:"List the users."`
	Passwd  userPasswd  `cmd:"" help:"Give a user a new password and end the user's sessions."`
	Disable userDisable `cmd:"" help:"Keep a user out and end the user's sessions. Users are never deleted: alarms keep their names."`
	Enable  userEnable  `cmd:"" help:"Let a user in again, or change the user's role."`
}

type userFlags struct {
	postgresFlags `group:"PostgreSQL"`
}

func (f userFlags) open(ctx context.Context, env *environment) (*app.Users, error) {
	database, err := f.options("user")
	if err != nil {
		return nil, err
	}
	return app.OpenUsers(ctx, database, env.logger)
}

// userName is a user's name in any case.
type userName string

// Validate refuses a name that no user can have.
func (n userName) Validate() error { return users.CheckName(n.clean()) }

func (n userName) clean() string { return users.CleanName(string(n)) }

type userAdd struct {
	userFlags
	passwordFlags

	Name       userName   `arg:"" help:"Of the user."`
	Role       users.Role `required:"" enum:"viewer,operator,admin" help:"viewer (reads), operator (acts on alarms, sets a person's limits) or admin (also limits of cohorts and the fleet)."`
	NoPassword bool       `help:"The user signs in through a trusted proxy only."`
}

// Run adds a user.
func (c *userAdd) Run(ctx context.Context, env *environment) error {
	var given *string
	if !c.NoPassword {
		text, err := c.read(ctx, env, c.Name.clean())
		if err != nil {
			return err
		}
		given = &text
	}
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Add(ctx, c.Name.clean(), c.Role, given); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "added %s as %s\n", c.Name.clean(), c.Role)
	return nil
}

type userList struct {
	userFlags

	JSON bool `name:"json" help:"Print as JSON."`
}

// Run prints all users.
func (c *userList) Run(ctx context.Context, env *environment) error {
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
	table := newTable(env.stdout, "NAME", "ROLE", "PASSWORD", "CREATED", "LAST SIGN-IN", "DISABLED")
	for _, user := range all {
		table.row(user.Name, user.Role, yesNo(user.HasPassword), user.CreatedAt.Format(time.RFC3339), timeOrDash(deref(user.LastSignInAt)),
			timeOrDash(deref(user.DisabledAt)))
	}
	return table.flush()
}

type userPasswd struct {
	userFlags
	passwordFlags

	Name userName `arg:"" help:"Of the user."`
}

// Run sets a password.
func (c *userPasswd) Run(ctx context.Context, env *environment) error {
	text, err := c.read(ctx, env, c.Name.clean())
	if err != nil {
		return err
	}
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.SetPassword(ctx, c.Name.clean(), text); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "changed the password of %s; the user's sessions end within 5 s\n", c.Name.clean())
	return nil
}

type userDisable struct {
	userFlags

	Name userName `arg:"" help:"Of the user."`
}

// Run disables a user.
func (c *userDisable) Run(ctx context.Context, env *environment) error {
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Disable(ctx, c.Name.clean()); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "disabled %s; the user's sessions end within 5 s\n", c.Name.clean())
	return nil
}

type userEnable struct {
	userFlags

	Name userName   `arg:"" help:"Of the user."`
	Role users.Role `enum:",viewer,operator,admin" default:"" placeholder:"ROLE" help:"From now on viewer, operator or admin; as before unless given."`
}

// Run enables a user.
func (c *userEnable) Run(ctx context.Context, env *environment) error {
	admin, err := c.open(ctx, env)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Enable(ctx, c.Name.clean(), c.Role); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "enabled %s\n", c.Name.clean())
	return nil
}
