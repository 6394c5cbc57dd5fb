package procstat

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// tick is the unit of a process's processor time, the same on every architecture that Go supports.
const tick = 10 * time.Millisecond

func stat(pid int) (procfs.ProcStat, bool) {
	if pid == 0 {
		return procfs.ProcStat{}, false
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, false
	}
	s, err := process.Stat()
	return s, err == nil
}

func own(s procfs.ProcStat) time.Duration { return time.Duration(s.UTime+s.STime) * tick }

// ProcessTime returns the processor time of one process.
func ProcessTime(pid int) time.Duration {
	s, ok := stat(pid)
	if !ok {
		return 0
	}
	return own(s)
}

// FamilyTime returns the processor time of a process and of all children it ever had.
func FamilyTime(parent int) time.Duration {
	s, ok := stat(parent)
	if !ok {
		return 0
	}
	total := own(s) + time.Duration(s.CUTime+s.CSTime)*tick
	processes, err := procfs.AllProcs()
	if err != nil {
		return total
	}
	for _, process := range processes {
		if child, ok := stat(process.PID); ok && child.PPID == parent {
			total += own(child)
		}
	}
	return total
}

// OwnTime returns the processor time of this process.
func OwnTime() time.Duration { return ProcessTime(os.Getpid()) }

// PostmasterOf returns the process id of the PostgreSQL server that a backend belongs to.
func PostmasterOf(backend int) int {
	s, ok := stat(backend)
	if !ok || !strings.HasPrefix(s.Comm, "postgres") {
		return 0
	}
	return s.PPID
}

// IdleTime returns how long the processors of the machine were idle or waited for a disk, in sum.
func IdleTime() time.Duration {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	s, err := fs.Stat()
	if err != nil {
		return 0
	}
	return time.Duration((s.CPUTotal.Idle + s.CPUTotal.Iowait) * float64(time.Second))
}

// Sync writes dirty pages to disk, so that earlier writes do not compete with what is measured next.
func Sync() { syscall.Sync() }

// ResidentPeak returns the most memory that a process ever occupied, in bytes.
func ResidentPeak(pid int) int64 {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	status, err := process.NewStatus()
	if err != nil {
		return 0
	}
	return int64(status.VmHWM)
}

// MachineMemory returns the memory of the machine, in bytes.
func MachineMemory() int64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	memory, err := fs.Meminfo()
	if err != nil || memory.MemTotalBytes == nil {
		return 0
	}
	return int64(*memory.MemTotalBytes)
}

// ProcessorName returns the model of the machine's processors.
func ProcessorName() string {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return ""
	}
	processors, err := fs.CPUInfo()
	if err != nil || len(processors) == 0 {
		return ""
	}
	return processors[0].ModelName
}

// LoadAverage returns the average number of runnable processes in the last minute.
func LoadAverage() float64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return 0
	}
	return load.Load1
}

// ListenerOf returns the process that listens on a TCP port of this machine, if its files may be read.
func ListenerOf(port int) int {
	sockets := listeningSockets(port)
	if len(sockets) == 0 {
		return 0
	}
	processes, err := procfs.AllProcs()
	if err != nil {
		return 0
	}
	for _, process := range processes {
		targets, _ := process.FileDescriptorTargets() // of other users: not readable
		if slices.ContainsFunc(targets, func(target string) bool { return sockets[target] }) {
			return process.PID
		}
	}
	return 0
}

// listeningSockets returns the sockets that listen on a port, as the targets of file descriptors name them.
func listeningSockets(port int) map[string]bool {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil
	}
	const listening = 0x0A
	sockets := map[string]bool{}
	//lint:ignore SA1019 the table is read once and is short; netlink would be one more dependency
	for _, table := range []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6} {
		lines, _ := table() // there is no IPv6 on some machines
		for _, line := range lines {
			if line.St == listening && line.LocalPort == uint64(port) {
				sockets[fmt.Sprintf("socket:[%d]", line.Inode)] = true
			}
		}
	}
	return sockets
}
