package artifact

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Early are the images that `call ci` needs and that take minutes to compile. The gates before them
// leave processors idle.
var Early = []string{"aquasec/trivy"}

// EarlyCompile compiles the Go packages of images before somebody asks for the images.
type EarlyCompile struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// StartEarly compiles the packages of the given repositories' images into Go's build cache, one
// after another and at the lowest priority, so that making the image later is quick. Images that
// are made already cost nothing. It ends with ctx; report receives what goes wrong, because nobody
// waits for it; making the image reports the error again.
func (m Maker) StartEarly(ctx context.Context, repositories []string, report func(error)) *EarlyCompile {
	ctx, cancel := context.WithCancel(ctx)
	early := &EarlyCompile{cancel, make(chan struct{})}
	go func() {
		defer close(early.done)
		defer cancel()
		if err := m.compileEarly(ctx, repositories); err != nil && ctx.Err() == nil {
			report(err)
		}
	}()
	return early
}

// Stop ends it when somebody waits for an image. Compiled packages stay in the cache.
func (e *EarlyCompile) Stop() {
	e.cancel()
	<-e.done
}

// Compiles reports whether an image is missing and its recipe has Go programs.
func (m Maker) Compiles(image, arch string) bool {
	key, err := m.ImageKey(image, arch)
	if err != nil || m.Store.Has("image", key) {
		return false
	}
	_, err = os.Stat(filepath.Join(m.recipe(image), "go.mod"))
	return err == nil
}

func (m Maker) compileEarly(ctx context.Context, repositories []string) error {
	images, err := m.Images()
	if err != nil {
		return err
	}
	for _, repository := range repositories {
		for _, image := range images {
			if !strings.HasPrefix(image, repository+":") {
				continue
			}
			key, err := m.ImageKey(image, runtime.GOARCH)
			if err != nil {
				return err
			}
			if m.Store.Has("image", key) {
				continue
			}
			if err := m.compilePackages(ctx, image); err != nil {
				return fmt.Errorf("compiling %s early: %w", image, err)
			}
		}
	}
	return nil
}

// compilePackages is goTools without linking, whose results Go does not cache.
func (m Maker) compilePackages(ctx context.Context, image string) error {
	dir, err := os.MkdirTemp("", "pitwall-early-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(dir, "recipe")
	if err := os.CopyFS(folder, os.DirFS(m.recipe(image))); err != nil {
		return err
	}
	return m.Run(ctx, Step{What: "compiling the packages of " + image}, func() *exec.Cmd {
		// One package at a time leaves memory to the gates.
		cmd := m.goCommand(ctx, folder, []string{"GOARCH=" + runtime.GOARCH}, "list", "-export", "-p", "1", "-trimpath", "-f", "", "tool")
		cmd.Args = append([]string{"nice", "-n", "19"}, cmd.Args...)
		if nice, err := exec.LookPath("nice"); err == nil {
			cmd.Path = nice
		}
		return cmd
	})
}
