package registry

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// pushTime is how long a push may take: blobs come before the manifest that names them.
const pushTime = time.Hour

// Sweep removes the blobs that no manifest under the given folders names.
func Sweep(blobs string, folders ...string) error {
	used := map[string]bool{}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				if entry != nil && path == blobs {
					return fs.SkipDir
				}
				return err
			}
			if filepath.Base(path) != "manifest.json" && filepath.Base(filepath.Dir(path)) != "_manifests" {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var manifest struct {
				Config struct{ Digest string }
				Layers []struct{ Digest string }
			}
			// A file that does not parse is not one of our manifests and names no blob.
			if json.Unmarshal(data, &manifest) == nil {
				used[manifest.Config.Digest] = true
				for _, layer := range manifest.Layers {
					used[layer.Digest] = true
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	paths, err := filepath.Glob(filepath.Join(blobs, "*", "*"))
	if err != nil {
		return err
	}
	uploads, err := filepath.Glob(filepath.Join(blobs, "upload-*"))
	if err != nil {
		return err
	}
	var errs error
	for _, path := range append(paths, uploads...) {
		digest := filepath.Base(filepath.Dir(path)) + ":" + filepath.Base(path)
		info, err := os.Stat(path)
		if err != nil || used[digest] || time.Since(info.ModTime()) < pushTime {
			continue
		}
		errs = errors.Join(errs, os.Remove(path))
	}
	return errs
}
