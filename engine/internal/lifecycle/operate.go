package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"pitwall/engine/internal/registry"
	"pitwall/engine/internal/store"
)

// Status writes the state of this home's engine as text or JSON.
func (m Manager) Status(out io.Writer, asJSON bool) error {
	i, err := Running(m.Home)
	if err != nil {
		return err
	}
	images := m.madeImages()
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"home": m.Home.Dir, "running": i != nil, "engine": i, "images": images, "bytes": Usage(m.Home.Dir)})
	}
	if i == nil {
		fmt.Fprintf(out, "engine   stopped (./daggerw engine start, or any call, starts it)\n")
	} else {
		fmt.Fprintf(out, "engine   running for %v, Dagger %s, process %d\n", time.Since(i.Started).Round(time.Second), i.Version, i.Pid)
		fmt.Fprintf(out, "socket   unix://%s\n", m.Home.Socket())
		if !i.matches(m.Home) {
			fmt.Fprintf(out, "note     it was built from other recipes; the next call from this checkout replaces it\n")
		}
	}
	fmt.Fprintf(out, "home     %s, %.1f GB\n", m.Home.Dir, float64(Usage(m.Home.Dir))/(1<<30))
	fmt.Fprintf(out, "images   %s\n", strings.Join(images, ", "))
	return nil
}

func (m Manager) madeImages() []string {
	images := []string{}
	files, _ := filepath.Glob(filepath.Join(m.Home.Store, "image-*", "name"))
	for _, file := range files {
		if name, err := os.ReadFile(file); err == nil {
			images = append(images, string(name))
		}
	}
	return images
}

// Logs writes the last n lines of the manager's and the engine's logs. With
// follow it keeps writing the engine's log.
func (m Manager) Logs(out io.Writer, n int, follow bool) error {
	for _, path := range []string{m.Home.ManagerLog(), m.Home.EngineLog()} {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		lines := strings.SplitAfter(string(data), "\n")
		fmt.Fprintf(out, "==> %s <==\n%s", path, strings.Join(lines[max(0, len(lines)-1-n):], ""))
	}
	if !follow {
		return nil
	}
	file, err := os.Open(m.Home.EngineLog())
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	for {
		if _, err := io.Copy(out, file); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

var storeEntry = regexp.MustCompile(`^\.?([a-z-]+)-([0-9a-f]{16})(\.half-.*|\.lock)?$`)

// Prune removes artifacts, states and managers of other versions than this
// checkout's. With all it stops the engine and removes the home.
func (m Manager) Prune(all bool) (freed int64, err error) {
	before := Usage(m.Home.Dir)
	if all {
		if err := m.Stop(); err != nil {
			return 0, err
		}
		return before, os.RemoveAll(m.Home.Dir)
	}
	if err := m.Home.Make(); err != nil {
		return 0, err
	}
	// A starting engine uses artifacts that look unused.
	lock, err := store.TryLock(m.Home.StartLock())
	if err != nil {
		return 0, err
	}
	if lock == nil {
		return 0, errors.New("an engine is starting: prune when it runs")
	}
	defer lock.Close()
	maker := m.maker()
	if err := maker.Recipes(context.Background()); err != nil {
		return 0, err
	}
	used, err := maker.StoreNames()
	if err != nil {
		return 0, err
	}
	state, err := maker.StateKey()
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(m.Home.Store)
	if err != nil {
		return 0, err
	}
	var errs error
	for _, entry := range entries {
		if parts := storeEntry.FindStringSubmatch(entry.Name()); parts != nil && !used[parts[1]+"-"+parts[2]] {
			errs = errors.Join(errs, os.RemoveAll(filepath.Join(m.Home.Store, entry.Name())))
		}
	}
	for _, old := range []struct{ pattern, keep string }{
		{filepath.Join(m.Home.States(), "*"), state},
		{filepath.Join(m.Home.Binaries(), "*"), "pitwall-engine-" + m.Home.Key[:16]},
	} {
		paths, err := filepath.Glob(old.pattern)
		errs = errors.Join(errs, err)
		for _, path := range paths {
			if filepath.Base(path) != old.keep {
				errs = errors.Join(errs, os.RemoveAll(path))
			}
		}
	}
	errs = errors.Join(errs, registry.Sweep(maker.Blobs(), m.Home.Store, m.Home.Registry()))
	return before - Usage(m.Home.Dir), errs
}
