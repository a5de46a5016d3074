package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup has the folders of one control group, one for each hierarchy.
type cgroup []string

// hierarchy is a mounted hierarchy of control groups.
type hierarchy struct{ place, kind, options string }

// hierarchies lists the mounted hierarchies: one on cgroup v2, one for each
// controller on v1.
func hierarchies() ([]hierarchy, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []hierarchy
	for _, line := range strings.Split(string(data), "\n") {
		fields := strings.Fields(line)
		for i, field := range fields {
			if field != "-" || i+3 >= len(fields) || !strings.HasPrefix(fields[i+1], "cgroup") {
				continue
			}
			options := []string{}
			for _, option := range strings.Split(fields[i+3], ",") {
				if option != "rw" && option != "ro" && option != "nsdelegate" && option != "memory_recursiveprot" {
					options = append(options, option)
				}
			}
			found = append(found, hierarchy{fields[4], fields[i+1], strings.Join(options, ",")})
		}
	}
	return found, nil
}

// newCgroup creates a control group in each hierarchy and moves the process into it.
func newCgroup(name string, pid int) (cgroup, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var group cgroup
	for _, h := range all {
		dir := filepath.Join(h.place, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
			return group, fmt.Errorf("control group: %w", err)
		}
		group = append(group, dir)
		// On v1 a new cpuset accepts no process until it has CPUs and memory nodes.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(h.place, file)); err == nil && h.kind == "cgroup" {
				if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
					return group, err
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return group, fmt.Errorf("control group: %w", err)
		}
	}
	return group, nil
}

// RemoveCgroup removes the control groups of a killed sandbox.
func RemoveCgroup(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var group cgroup
	for _, h := range all {
		group = append(group, filepath.Join(h.place, name))
	}
	return group.remove()
}

func (c cgroup) remove() error {
	var left error
	for _, dir := range c {
		// The kernel needs a moment to remove the last processes.
		for try := 0; ; try++ {
			err := removeTree(dir)
			if err == nil {
				break
			}
			if try == 50 {
				left = errors.Join(left, err)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return left
}

// removeTree removes a control group and its children. Files in it cannot be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}

type cgroupMounts []hierarchy

// enterCgroup makes this process's group the root of its cgroup namespace.
func enterCgroup() (cgroupMounts, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return nil, fmt.Errorf("control group namespace: %w", err)
	}
	return all, nil
}

func (c cgroupMounts) mount(at string) error {
	if len(c) == 1 && c[0].kind == "cgroup2" {
		if err := (mount{"cgroup2", at, "cgroup2", 0, ""}).in("/"); err != nil {
			return err
		}
		return delegate(at)
	}
	if err := (mount{"tmpfs", at, "tmpfs", 0, "mode=755"}).in("/"); err != nil {
		return err
	}
	for _, h := range c {
		options := h.options
		if h.kind == "cgroup2" {
			options = ""
		} else if strings.HasPrefix(options, "name=") {
			options = "none," + options
		}
		if err := (mount{h.kind, filepath.Join(at, filepath.Base(h.place)), h.kind, 0, options}).in("/"); err != nil {
			return err
		}
	}
	return nil
}

// delegate enables controllers for the groups below the root of a v2 hierarchy.
// The kernel allows it only while the root has no process.
func delegate(at string) error {
	leaf := filepath.Join(at, "init")
	if err := os.Mkdir(leaf, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	controllers, err := os.ReadFile(filepath.Join(at, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return err
		}
	}
	return nil
}
