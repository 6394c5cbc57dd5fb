package pgserver

import (
	"bytes"
	"os"
	"strconv"
)

// commandLine returns what a process was started with, "" where there is no such process.
func commandLine(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	return string(bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
}
