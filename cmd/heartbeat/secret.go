package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// secret returns the value of the variable NAME, or the content of the file that NAME_FILE names, which wins: secrets of
// containers come as files. An empty variable is one that is not set; an empty file is an error. There are no flags for secrets,
// because every user of the machine can read argument lists.
func secret(name string) (value string, found bool, err error) {
	path := os.Getenv(name + "_FILE")
	if strings.TrimSpace(path) == "" {
		value = os.Getenv(name)
		if strings.ContainsAny(strings.TrimSpace(value), "\r\n") {
			return "", false, fmt.Errorf("%s: %w", name, errLineBreak)
		}
		return value, value != "", nil
	}
	text, err := os.ReadFile(path)
	if refused, ok := errors.AsType[*fs.PathError](err); ok {
		err = refused.Err // without the path: people put the secret itself there
	}
	if err != nil {
		return "", false, fmt.Errorf("read the file that %s_FILE names: %w", name, err)
	}
	value = strings.TrimRight(string(text), "\r\n")
	if value == "" {
		return "", false, fmt.Errorf("read the file that %s_FILE names: it is empty", name)
	}
	return value, true, nil
}
