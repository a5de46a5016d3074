// Package binfmt lets the kernel run arm64 programs under QEMU. Its entry is
// the only part of a local engine that the whole machine sees. It is added for the
// first arm64 image and removed with the engine.
package binfmt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// The first bytes of a 64-bit little-endian aarch64 ELF program and their mask,
// from QEMU's qemu-binfmt-conf.sh.
const (
	magic = `\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`
	mask  = `\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`
)

// Runs reports whether this machine already runs programs of an architecture.
func Runs(arch string) bool {
	if arch == runtime.GOARCH {
		return true
	}
	found := false
	err := with(func(dir string) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			// With flag F the kernel keeps the interpreter open, so containers can use it.
			if err == nil && strings.HasPrefix(string(text), "enabled") && strings.Contains(string(text), "0200b7") {
				found = found || strings.Contains(string(text), "F")
			}
		}
		return nil
	})
	return err == nil && found
}

// Add registers QEMU for arm64 under a name. The kernel drops its table with the
// last mount of it, so this process keeps a private mount at dir.
func Add(name, qemu, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	added := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := mount(dir)
		if err == nil {
			if _, missing := os.Stat(filepath.Join(dir, name)); missing != nil {
				line := fmt.Sprintf(":%s:M::%s:%s:%s:OCF", name, magic, mask, qemu)
				err = os.WriteFile(filepath.Join(dir, "register"), []byte(line), 0o200)
			}
		}
		added <- err
		if err == nil {
			select {}
		}
	}()
	return <-added
}

// Remove removes an entry if it exists.
func Remove(name string) error {
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc"); err != nil {
		return nil
	}
	return with(func(dir string) error {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return os.WriteFile(filepath.Join(dir, name), []byte("-1"), 0o200)
	})
}

// with calls f with the kernel's table, mounted for this thread only.
func with(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "binfmt-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	result := make(chan error)
	go func() {
		// Never unlocked: the thread has its own mounts and must end with the goroutine.
		runtime.LockOSThread()
		err := mount(dir)
		if err == nil {
			err = f(dir)
		}
		result <- err
	}()
	return <-result
}

// mount mounts the kernel's table at dir in this thread's own mount namespace.
func mount(dir string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("binfmt_misc", dir, "binfmt_misc", 0, ""); err != nil {
		return fmt.Errorf("the kernel's table of program formats: %w", err)
	}
	return nil
}
