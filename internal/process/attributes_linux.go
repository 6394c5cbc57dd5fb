package process

import "syscall"

func attributes(command Command) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: command.Credential, Pdeathsig: command.DeathSignal}
}
