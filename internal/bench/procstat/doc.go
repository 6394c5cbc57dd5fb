// Package procstat reads what the kernel knows of processes and the machine: processor time, memory, load. A figure that
// cannot be read, such as that of a process on another machine, is 0. Only Linux has the figures; elsewhere all are 0. Its
// functions may be called from any goroutine. The benchmark measures with it; it is not on the path of a reading.
package procstat
