package main

import (
	"fmt"
	"os"
	"strings"
)

// secret returns what the variable NAME holds, or the file that NAME_FILE names, which wins: secrets of containers come
// as files. There are no flags for secrets, for an argument list is open to everybody on the machine.
func secret(name string) (value string, found bool, err error) {
	path := os.Getenv(name + "_FILE")
	if path == "" {
		value, found = os.LookupEnv(name)
		return value, found, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false, fmt.Errorf("read %s_FILE: %w", name, err)
	}
	return strings.TrimRight(string(text), "\r\n"), true, nil
}
