//go:build unix && !linux

package pgserver

import (
	"os/exec"
	"strconv"
)

// commandLine returns what a process was started with, "" where there is no such process.
func commandLine(pid int) string {
	output, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(output)
}
