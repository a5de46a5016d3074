package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

type mount struct {
	source, place, kind string
	flags               uintptr
	data                string
}

func (m mount) in(root string) error {
	to := filepath.Join(root, m.place)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, to, m.kind, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s on /%s: %w", m.source, m.place, err)
	}
	return nil
}

var overlayPath = strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`)

// mountRoot mounts the layers as an overlay that writes to memory and returns
// its folder. Only this mount namespace sees it.
func mountRoot(layers []string, on string) (string, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("private mounts: %w", err)
	}
	if err := (mount{"tmpfs", on, "tmpfs", 0, "mode=755"}).in("/"); err != nil {
		return "", err
	}
	root, upper, work := filepath.Join(on, "root"), filepath.Join(on, "upper"), filepath.Join(on, "work")
	for _, dir := range []string{root, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", err
		}
	}
	lower := make([]string, len(layers))
	for i, layer := range layers {
		lower[i] = overlayPath.Replace(layer)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lower, ":"), overlayPath.Replace(upper), overlayPath.Replace(work))
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("overlayfs: %w", err)
	}
	return root, nil
}

// pivot makes root the root of this mount namespace and unmounts the machine's root.
func pivot(root string) error {
	old := filepath.Join(root, ".machine")
	if err := os.Mkdir(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/.machine", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmounting the machine's root: %w", err)
	}
	return os.Remove("/.machine")
}
