// Package store keeps artifacts. Each is a folder named by a digest of its inputs,
// and is either complete or missing.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Store is a folder of artifacts.
type Store struct {
	Dir string
	// Report shows the user a line of progress.
	Report func(format string, args ...any)
}

// Key digests the inputs of an artifact.
func Key(inputs ...Input) (string, error) {
	h := sha256.New()
	for _, in := range inputs {
		sum, err := in()
		if err != nil {
			return "", err
		}
		h.Write(sum)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// Input is a part of an artifact's key.
type Input func() ([]byte, error)

// Text is an input of plain strings.
func Text(parts ...string) Input {
	return func() ([]byte, error) {
		sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
		return sum[:], nil
	}
}

// Tree is a folder as an input: names, contents and executable bits of its files,
// except in folders named in skip.
func Tree(dir string, skip ...string) Input {
	return func() ([]byte, error) {
		h := sha256.New()
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				for _, name := range skip {
					if entry.Name() == name {
						return fs.SkipDir
					}
				}
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(data)
			fmt.Fprintf(h, "%s %v %x\n", filepath.ToSlash(rel), info.Mode()&0o111 != 0, sum)
			return nil
		})
		return h.Sum(nil), err
	}
}

// Path is the folder of an artifact, which may not exist yet.
func (s Store) Path(kind, key string) string { return filepath.Join(s.Dir, kind+"-"+key) }

// Has reports whether an artifact exists.
func (s Store) Has(kind, key string) bool {
	_, err := os.Stat(s.Path(kind, key))
	return err == nil
}

// Ensure returns the path of an artifact and makes it if it is missing. Only one
// of several concurrent callers makes it, across processes too. A killed make
// leaves nothing that could be mistaken for the artifact.
func (s Store) Ensure(ctx context.Context, kind, key string, make func(ctx context.Context, dir string) error) (string, error) {
	path := s.Path(kind, key)
	if s.Has(kind, key) {
		return path, nil
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return "", err
	}
	lock, err := Lock(ctx, filepath.Join(s.Dir, "."+kind+"-"+key+".lock"), func() {
		s.Report("waiting for another daggerw that is making %s", kind)
	})
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if s.Has(kind, key) {
		return path, nil
	}
	// Remove the leftovers of killed makes; the lock shows that nobody works on them.
	// A surviving tool may still write to such a folder, so each make gets a new one.
	left, err := filepath.Glob(filepath.Join(s.Dir, "."+kind+"-"+key+".half-*"))
	if err != nil {
		return "", err
	}
	for _, old := range left {
		if err := os.RemoveAll(old); err != nil {
			s.Report("cannot remove the leftovers of an earlier try: %v", err)
		}
	}
	half, err := os.MkdirTemp(s.Dir, "."+kind+"-"+key+".half-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(half, 0o755); err != nil {
		return "", err
	}
	if err := make(ctx, half); err != nil {
		return "", errors.Join(err, os.RemoveAll(half))
	}
	return path, os.Rename(half, path)
}

// Lock takes an exclusive lock on a file. It ends with the process at the latest.
// It calls waiting once if it has to wait.
func Lock(ctx context.Context, path string, waiting func()) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// TryLock is Lock without waiting; nil if the lock is taken.
func TryLock(path string) (*os.File, error) {
	ctx, cancel := context.WithCancel(context.Background())
	file, err := Lock(ctx, path, cancel)
	if errors.Is(err, context.Canceled) {
		return nil, nil
	}
	return file, err
}
