package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ProbeCommand is the command of this program that runs RunProbe.
const ProbeCommand = "sandbox-probe"

// Probe tries under dir whether the kernel allows what a sandbox and the engine's
// snapshots need. Throws with the kernel's error.
func Probe(dir string) error {
	temp, err := os.MkdirTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	cmd := exec.Command("/proc/self/exe", ProbeCommand, temp)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(string(out)), "pitwall: "))
	} else if err != nil {
		return fmt.Errorf("namespaces (mount, pid, net, ipc, uts): %w", err)
	}
	return nil
}

// RunProbe is the part of Probe that runs in new namespaces.
func RunProbe(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	for _, name := range []string{"lower", "upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	path := func(name string) string { return overlayPath.Replace(filepath.Join(dir, name)) }
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", path("lower"), path("upper"), path("work"))
	if err := unix.Mount("overlay", filepath.Join(dir, "root"), "overlay", 0, options); err != nil {
		return fmt.Errorf("overlayfs: %w", err)
	}
	if err := unix.Mount("proc", filepath.Join(dir, "lower"), "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("control group namespace: %w", err)
	}
	return nil
}
