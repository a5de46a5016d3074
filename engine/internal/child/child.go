// Package child starts processes that are killed when this one ends for any reason.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// The kernel sends the parent-death signal when the thread that started a child
// ends. So one goroutine with its own, never-ending thread starts all children.
var starter = func() chan func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
}()

// Start is cmd.Start for a child that is killed when this process ends.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	starter <- func() { done <- cmd.Start() }
	return <-done
}
