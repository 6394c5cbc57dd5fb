package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"

	"heartbeat/internal/users"
)

// passwordFlags say where a user's password comes from. No flag takes the password itself: argument lists are public.
type passwordFlags struct {
	File string `name:"password-file" placeholder:"FILE" help:"Read the password from this file; otherwise it is asked for on a terminal, or read from standard input."`
}

// read returns a password that users.CheckPassword accepts.
func (f passwordFlags) read(ctx context.Context, env *environment, name string) (string, error) {
	text, err := f.text(ctx, env, name)
	if err != nil {
		return "", err
	}
	return text, users.CheckPassword(name, text)
}

func (f passwordFlags) text(ctx context.Context, env *environment, name string) (string, error) {
	terminal := int(os.Stdin.Fd())
	switch {
	case f.File != "":
		file, err := os.Open(f.File)
		if refused, ok := errors.AsType[*fs.PathError](err); ok {
			err = refused.Err // without the path: people put the password itself there
		}
		if err != nil {
			return "", fmt.Errorf("read the file that --password-file names: %w", err)
		}
		defer file.Close()
		return firstLine(file, "the file that --password-file names")
	case term.IsTerminal(terminal):
		return askTwice(ctx, env, terminal, name)
	default:
		return firstLine(os.Stdin, "standard input (give the password there, or with --password-file)")
	}
}

// firstLine reads the only line of a source. More than a password could have is refused by the length that remains.
func firstLine(source io.Reader, from string) (string, error) {
	text, err := io.ReadAll(bufio.NewReader(io.LimitReader(source, users.MaxPasswordBytes+3)))
	if refused, ok := errors.AsType[*fs.PathError](err); ok {
		err = refused.Err
	}
	if err != nil {
		return "", fmt.Errorf("read password from %s: %w", from, err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if line == "" {
		return "", fmt.Errorf("there is no password in %s", from)
	}
	return line, nil
}

func askTwice(ctx context.Context, env *environment, terminal int, name string) (string, error) {
	first, err := ask(ctx, env, terminal, "Password of "+name+": ")
	if err != nil {
		return "", err
	}
	if err := users.CheckPassword(name, first); err != nil {
		return "", err // before it is typed a second time
	}
	second, err := ask(ctx, env, terminal, "The same again: ")
	if err == nil && first != second {
		err = errors.New("the two passwords differ: nothing was changed")
	}
	return first, err
}

// ask reads a line without echo. An interrupt brings the echo back before it ends the command.
func ask(ctx context.Context, env *environment, terminal int, prompt string) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(env.stderr, prompt)
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() { // ends with the line, or with the process
		text, err := term.ReadPassword(terminal)
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		err = errors.Join(ctx.Err(), term.Restore(terminal, before))
		fmt.Fprintln(env.stderr)
		return "", err
	case got := <-read:
		fmt.Fprintln(env.stderr)
		if got.err != nil {
			return "", fmt.Errorf("read password: %w", got.err)
		}
		return string(got.text), nil
	}
}
