// Package home has every path of a local engine. All of them are under one
// folder, so removing the folder removes the engine.
package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// maxSocketPath is the size of sockaddr_un's path.
const maxSocketPath = 107

// Home is the folder of one local engine ($PITWALL_HOME).
type Home struct {
	Dir      string // the folder itself
	Store    string // content-addressed artifacts; $PITWALL_STORE shares them between homes
	Checkout string // the Pitwall checkout whose recipes are used
	Key      string // digest of that checkout's engine/ folder
	Version  string // the Dagger version that dagger.json pins, such as v1.2.3
}

// FromEnv reads the home from what daggerw exports. Throws when a variable is
// missing: a default could be the wrong folder.
func FromEnv(key string) (Home, error) {
	h := Home{
		Dir:      os.Getenv("PITWALL_HOME"),
		Store:    os.Getenv("PITWALL_STORE"),
		Checkout: os.Getenv("PITWALL_CHECKOUT"),
		Version:  os.Getenv("DAGGERW_VERSION"),
		Key:      key,
	}
	if h.Dir == "" || h.Checkout == "" || h.Version == "" || h.Key == "" {
		return h, errors.New("run ./daggerw: it sets PITWALL_HOME, PITWALL_CHECKOUT and DAGGERW_VERSION for this program")
	}
	if !filepath.IsAbs(h.Dir) {
		return h, fmt.Errorf("PITWALL_HOME is %q: an absolute path is needed", h.Dir)
	}
	if h.Store == "" {
		h.Store = filepath.Join(h.Dir, "store")
	}
	if n := len(h.Socket()); n > maxSocketPath {
		return h, fmt.Errorf("PITWALL_HOME is too long: the engine's socket %s has %d characters, %d are allowed", h.Socket(), n, maxSocketPath)
	}
	return h, nil
}

func (h Home) path(elem ...string) string { return filepath.Join(append([]string{h.Dir}, elem...)...) }

func (h Home) Run() string        { return h.path("run") }
func (h Home) Socket() string     { return h.path("run", "engine.sock") }
func (h Home) Instance() string   { return h.path("run", "engine.json") }
func (h Home) RunLock() string    { return h.path("run", "engine.lock") }
func (h Home) StartLock() string  { return h.path("run", "start.lock") }
func (h Home) Clients() string    { return h.path("run", "clients.lock") }
func (h Home) EngineLog() string  { return h.path("log", "engine.log") }
func (h Home) ManagerLog() string { return h.path("log", "manager.log") }
func (h Home) Events() string     { return h.path("log", "events.log") }
func (h Home) States() string     { return h.path("state") }
func (h Home) Registry() string   { return h.path("registry") }
func (h Home) Binaries() string   { return h.path("bin") }
func (h Home) GoCache() string    { return h.path("go", "build") }
func (h Home) GoModules() string  { return h.path("go", "mod") }

// Make creates the folders. Only their owner can read them.
func (h Home) Make() error {
	for _, dir := range []string{h.Dir, h.Store, h.Run(), h.path("log"), h.States(), h.Registry()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return os.Chmod(h.Run(), 0o700)
}
