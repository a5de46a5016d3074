// Package lifecycle starts, finds, supervises and stops the local engine.
package lifecycle

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/engine/internal/home"
	"pitwall/engine/internal/store"
)

// Instance describes a running engine, in run/engine.json.
type Instance struct {
	Pid     int       `json:"pid"`     // the supervising process
	Sandbox int       `json:"sandbox"` // the first process of the sandbox
	Key     string    `json:"key"`     // the key of its recipes
	Version string    `json:"version"`
	State   string    `json:"state"` // its state folder
	CLI     string    `json:"cli"`   // the CLI of the same version
	Started time.Time `json:"started"`
}

// Running returns the engine of the home; nil if none answers.
func Running(h home.Home) (*Instance, error) {
	data, err := os.ReadFile(h.Instance())
	if os.IsNotExist(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var i Instance
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, fmt.Errorf("%s: %w", h.Instance(), err)
	}
	// Only the lock is reliable: the file may be stale and its process number reused.
	lock, err := store.TryLock(h.RunLock())
	if err != nil {
		return nil, err
	}
	if lock != nil {
		return nil, lock.Close()
	}
	conn, err := net.DialTimeout("unix", h.Socket(), 2*time.Second)
	if err != nil {
		return nil, nil
	}
	return &i, conn.Close()
}

// matches reports whether this checkout would start the same engine.
func (i *Instance) matches(h home.Home) bool {
	return i != nil && i.Key == h.Key && i.Version == h.Version
}

func (i Instance) write(h home.Home) error {
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	temp := h.Instance() + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, h.Instance())
}

// Use marks the engine as in use, so that it is not replaced, until this process
// ends. The mark survives exec.
func Use(h home.Home) error {
	file, err := os.OpenFile(h.Clients(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fd := int(file.Fd())
	if err := unix.Flock(fd, unix.LOCK_SH); err != nil {
		return err
	}
	// The lock survives exec and ends with the CLI and its children.
	return keepOpen(fd)
}

// keepOpen keeps a file open across exec.
func keepOpen(fd int) error {
	kept, err := unix.Dup(fd)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(uintptr(kept), unix.F_SETFD, 0)
	return err
}

// Usage is the size of a folder's files in bytes.
func Usage(dir string) int64 {
	var total int64
	filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}
