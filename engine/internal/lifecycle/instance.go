// Package lifecycle starts, finds, watches and stops the local engine.
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

// Instance is what a running engine says of itself, in run/engine.json.
type Instance struct {
	Pid     int       `json:"pid"`     // the supervising process
	Sandbox int       `json:"sandbox"` // the first process of the sandbox
	Key     string    `json:"key"`     // of the recipes that it was made from
	Version string    `json:"version"`
	State   string    `json:"state"` // its state folder
	CLI     string    `json:"cli"`   // the CLI that fits it
	Started time.Time `json:"started"`
}

// Running gives the engine of the home; nil where none answers.
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
	// The lock ends with the supervisor, whatever a stale file or a reused process number says.
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

// fits says whether the engine is the one that this checkout would start.
func (i *Instance) fits(h home.Home) bool {
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

// Use marks the engine as in use until this process, or the one that it
// becomes, ends: nobody replaces an engine that is in use.
func Use(h home.Home) error {
	file, err := os.OpenFile(h.Clients(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fd := int(file.Fd())
	if err := unix.Flock(fd, unix.LOCK_SH); err != nil {
		return err
	}
	// The lock outlives exec: it goes when the CLI and all that it started have gone.
	return keepOpen(fd)
}

// keepOpen keeps what fd refers to open when this process becomes another program.
func keepOpen(fd int) error {
	kept, err := unix.Dup(fd)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(uintptr(kept), unix.F_SETFD, 0)
	return err
}

// Usage is the disk space under a folder, in bytes.
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
