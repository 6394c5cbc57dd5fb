package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of the kernel's clocks, the same on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// processStat is what the kernel tells of a process.
type processStat struct {
	name     string
	parent   int
	own      time.Duration // its own processor time
	children time.Duration // that of its children that have ended
}

func readStat(pid int) (processStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}, err
	}
	// The name stands in brackets and may hold anything.
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return processStat{}, fmt.Errorf("read state of process %d: %q", pid, text)
	}
	fields := strings.Fields(string(text[shut+1:]))
	if len(fields) < 15 {
		return processStat{}, fmt.Errorf("read state of process %d: %q", pid, text)
	}
	number := func(field int) int {
		n, _ := strconv.Atoi(fields[field])
		return n
	}
	return processStat{
		name: string(text[open+1 : shut]), parent: number(1),
		own:      time.Duration(number(11)+number(12)) * tick,
		children: time.Duration(number(13)+number(14)) * tick,
	}, nil
}

// processTime is the processor's time of one process, 0 where there is none.
func processTime(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	stat, err := readStat(pid)
	if err != nil {
		return 0
	}
	return stat.own
}

// familyTime is the processor's time of a process and all children it ever had.
func familyTime(parent int) time.Duration {
	if parent == 0 {
		return 0
	}
	head, err := readStat(parent)
	if err != nil {
		return 0
	}
	total := head.own + head.children
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if child, err := readStat(pid); err == nil && child.parent == parent {
			total += child.own
		}
	}
	return total
}

// postmasterOf returns the process id of the server that a backend belongs to, 0 when it is not to be seen from here.
func postmasterOf(backend int) int {
	stat, err := readStat(backend)
	if err != nil || !strings.HasPrefix(stat.name, "postgres") {
		return 0
	}
	return stat.parent
}

func ownTime() time.Duration { return processTime(os.Getpid()) }

// idleTime is what the processors of the machine spent on nothing or waiting for a disk.
func idleTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return 0
	}
	idle, _ := strconv.Atoi(fields[4])
	waiting, _ := strconv.Atoi(fields[5])
	return time.Duration(idle+waiting) * tick
}

// settle has the system write what was left to be written, so that the disk is nobody else's in what is measured next.
func settle() { syscall.Sync() }

// residentPeak is the most memory that a process ever held, in bytes.
func residentPeak(pid int) int64 {
	return kibibytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:")
}

func machineMemory() int64 { return kibibytes("/proc/meminfo", "MemTotal:") }

func kibibytes(file, key string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

func processorName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// loadAverage is the average number of processes that wanted a processor in the last minute.
func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	average, _ := strconv.ParseFloat(first, 64)
	return average
}

// listenerOf returns the process that listens on a TCP port of this machine, 0 when there is none that may be seen.
func listenerOf(port int) int {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			const local, state, inode = 1, 3, 9
			const listening = "0A"
			fields := strings.Fields(line)
			if len(fields) > inode && fields[state] == listening && strings.HasSuffix(fields[local], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+fields[inode]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return 0
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && sockets[target] {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			return pid
		}
	}
	return 0
}
