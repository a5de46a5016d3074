// Package artifact makes the parts of a local engine from packages of Go, Debian,
// PyPI and npm: programs, root filesystem, TypeScript SDK and base images.
package artifact

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"pitwall/engine/internal/home"
	"pitwall/engine/internal/store"
)

// Maker makes artifacts from the recipes of one checkout.
type Maker struct {
	Home  home.Home
	Store store.Store
}

func (m Maker) recipes() string { return m.Store.Path("recipes", m.Home.Key[:16]) }

// Recipes copies the checkout's recipes into the store, so a running engine is
// independent of later changes in the checkout.
func (m Maker) Recipes(ctx context.Context) error {
	_, err := m.Store.Ensure(ctx, "recipes", m.Home.Key[:16], func(_ context.Context, dir string) error {
		for _, name := range []string{"dagger", "images", "sdk"} {
			from := os.DirFS(filepath.Join(m.Home.Checkout, "engine", name))
			if err := os.CopyFS(filepath.Join(dir, name), from); err != nil {
				return err
			}
		}
		// node_modules are not part of the recipe.
		return os.RemoveAll(filepath.Join(dir, "sdk", "typescript", "node_modules"))
	})
	return err
}

func (m Maker) goCommand(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"GOCACHE="+m.Home.GoCache(), "GOMODCACHE="+m.Home.GoModules(),
		"GOFLAGS=-mod=readonly -modcacherw -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// A patch changes lines of one of the engine's Go modules.
type patch struct {
	Module  string      `json:"module"`
	File    string      `json:"file"`
	Why     string      `json:"why"`
	Replace [][2]string `json:"replace"`
}

func (m Maker) programsKey() (string, error) {
	return store.Key(store.Tree(filepath.Join(m.recipes(), "dagger")), store.Text("programs-1", m.Home.Version, runtime.GOARCH))
}

// Programs builds the engine, the CLI, the container init and the DNS plugin
// from their Go modules. The folder has bin/dagger, and in rootfs/ the
// programs of the engine's root filesystem. The first build takes about 7 minutes.
func (m Maker) Programs(ctx context.Context) (string, error) {
	key, err := m.programsKey()
	if err != nil {
		return "", err
	}
	return m.Store.Ensure(ctx, "programs", key, func(ctx context.Context, dir string) error {
		source := filepath.Join(dir, "source")
		if err := os.CopyFS(source, os.DirFS(filepath.Join(m.recipes(), "dagger"))); err != nil {
			return err
		}
		if err := m.checkVersion(source); err != nil {
			return err
		}
		if err := m.patchModules(ctx, source); err != nil {
			return err
		}
		m.Store.Report("building the Dagger engine %s from its Go modules: about 7 minutes on two cores, once", m.Home.Version)
		bin := filepath.Join(dir, "bin")
		stamp := fmt.Sprintf("-s -w -X github.com/dagger/dagger/engine.Version=%[1]s -X github.com/dagger/dagger/engine.Tag=%[1]s", m.Home.Version)
		err = m.Run(ctx, Step{What: "building the engine", Lines: "packages compiled"}, func() *exec.Cmd {
			return m.goCommand(ctx, source, nil, "build", "-v", "-trimpath", "-tags", "dfexcludepatterns,dfparents",
				"-ldflags", stamp, "-o", bin+"/", "tool")
		})
		if err != nil {
			return err
		}
		for program, place := range map[string]string{
			"engine":  "usr/local/bin/dagger-engine",
			"init":    "usr/local/bin/dagger-init",
			"dnsname": "opt/cni/bin/dnsname",
		} {
			to := filepath.Join(dir, "rootfs", place)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := os.Rename(filepath.Join(bin, program), to); err != nil {
				return err
			}
		}
		return os.RemoveAll(source)
	})
}

// checkVersion throws unless go.mod has the version that dagger.json pins.
func (m Maker) checkVersion(source string) error {
	text, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return err
	}
	version := "none"
	if found := engineModule.FindSubmatch(text); found != nil {
		version = string(found[1])
	}
	if version != m.Home.Version {
		return fmt.Errorf("dagger.json pins Dagger %s, and engine/dagger/go.mod has another version, %s: raise them together", m.Home.Version, version)
	}
	return nil
}

var engineModule = regexp.MustCompile(`(?m)^(?:require)?\s*github\.com/dagger/dagger (v\S+)`)

// patchModules copies the modules that overlay/ and patches.json change into
// modules/, changes them there and points go.mod to them.
func (m Maker) patchModules(ctx context.Context, source string) error {
	if err := m.Run(ctx, Step{What: "fetching the engine's Go modules", Lines: "requests", IdleTimeout: downloadIdleTimeout}, func() *exec.Cmd {
		return m.goCommand(ctx, source, nil, "mod", "download", "-x")
	}); err != nil {
		return err
	}
	var patches []patch
	data, err := os.ReadFile(filepath.Join(source, "patches.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &patches); err != nil {
		return fmt.Errorf("patches.json: %w", err)
	}
	modules, err := filepath.Glob(filepath.Join(source, "overlay/*/*/*"))
	if err != nil {
		return err
	}
	for _, added := range modules {
		module := strings.TrimPrefix(filepath.ToSlash(added), filepath.ToSlash(source)+"/overlay/")
		out, err := m.goCommand(ctx, source, nil, "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			return fmt.Errorf("where is %s: %w", module, err)
		}
		copied := filepath.Join(source, "modules", module)
		for _, from := range []string{strings.TrimSpace(string(out)), added} {
			if err := os.CopyFS(copied, os.DirFS(from)); err != nil {
				return err
			}
		}
		for _, p := range patches {
			if p.Module == module {
				if err := p.apply(copied); err != nil {
					return err
				}
			}
		}
		edit := m.goCommand(ctx, source, nil, "mod", "edit", "-replace", module+"=./modules/"+module)
		if out, err := edit.CombinedOutput(); err != nil {
			return fmt.Errorf("go mod edit: %w: %s", err, out)
		}
	}
	return nil
}

func (p patch) apply(dir string) error {
	path := filepath.Join(dir, p.File)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(data)
	for _, r := range p.Replace {
		if !strings.Contains(text, r[0]) {
			return fmt.Errorf("patches.json: %s of %s has no %q", p.File, p.Module, r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// rootfsPackages are the Debian packages of the engine's root filesystem.
var rootfsPackages = []string{
	"ca-certificates", "containernetworking-plugins", "dnsmasq-base", "git", "iproute2", "iptables",
	"kmod", "mount", "pigz", "runc", "slirp4netns", "tini", "util-linux", "openssh-client",
}

// rootfsLinks map the engine's paths of programs to Debian's.
var rootfsLinks = map[string]string{
	"usr/local/bin/runc":           "/usr/sbin/runc",
	"usr/local/bin/tini":           "/usr/bin/tini",
	"opt/cni/bin/bridge":           "/usr/lib/cni/bridge",
	"opt/cni/bin/firewall":         "/usr/lib/cni/firewall",
	"opt/cni/bin/host-local":       "/usr/lib/cni/host-local",
	"opt/cni/bin/loopback":         "/usr/lib/cni/loopback",
	"usr/bin/xtables-legacy-multi": "/usr/sbin/xtables-legacy-multi",
	"usr/bin/xtables-nft-multi":    "/usr/sbin/xtables-nft-multi",
}

// Rootfs makes the engine's root filesystem from Debian packages.
func (m Maker) Rootfs(ctx context.Context) (string, error) {
	key, err := m.rootfsKey()
	if err != nil {
		return "", err
	}
	return m.Store.Ensure(ctx, "rootfs", key, func(ctx context.Context, dir string) error {
		root := filepath.Join(dir, "rootfs")
		if err := m.debootstrap(ctx, "the engine's root filesystem", "bookworm", runtime.GOARCH, rootfsPackages, root); err != nil {
			return err
		}
		for _, made := range []string{"var/lib/dagger", "etc/dagger", "usr/local/share/ca-certificates"} {
			if err := os.MkdirAll(filepath.Join(root, made), 0o755); err != nil {
				return err
			}
		}
		for link, target := range rootfsLinks {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, link)), 0o755); err != nil {
				return err
			}
			if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m Maker) rootfsKey() (string, error) {
	return store.Key(store.Text("rootfs-1", runtime.GOARCH), store.Text(rootfsPackages...), mirrorInput("bookworm"))
}

func (m Maker) sdkKey() (string, error) {
	return store.Key(store.Text("sdk-1"), store.Tree(filepath.Join(m.recipes(), "sdk", "typescript"), "node_modules", "test"))
}

// SDK packs the TypeScript SDK as the OCI layout that the engine expects. The
// artifact's file `digest` has the digest of its manifest.
func (m Maker) SDK(ctx context.Context) (string, error) {
	key, err := m.sdkKey()
	if err != nil {
		return "", err
	}
	return m.Store.Ensure(ctx, "sdk", key, func(ctx context.Context, dir string) error {
		tar := filepath.Join(dir, "sdk.tar")
		pack := exec.CommandContext(ctx, "tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner",
			"--exclude=./node_modules", "--exclude=./test", "-cf", tar, "-C", filepath.Join(m.recipes(), "sdk", "typescript"), ".")
		if out, err := pack.CombinedOutput(); err != nil {
			return fmt.Errorf("packing the TypeScript SDK: %w: %s", err, out)
		}
		image, err := imageOf(tar, runtime.GOARCH, v1.Config{})
		if err != nil {
			return err
		}
		content := filepath.Join(dir, "rootfs", "usr/local/share/dagger/content")
		path, err := layout.Write(content, empty.Index)
		if err != nil {
			return err
		}
		if err := path.AppendImage(image, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH})); err != nil {
			return err
		}
		digest, err := image.Digest()
		if err != nil {
			return err
		}
		if err := os.Remove(tar); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "digest"), []byte(digest.String()), 0o644)
	})
}

// imageOf makes an OCI image of one layer.
func imageOf(tar, arch string, config v1.Config) (v1.Image, error) {
	layer, err := tarball.LayerFromFile(tar, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	file, err := base.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", arch, config
	image, err := mutate.ConfigFile(base, file)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, layer)
}

// StateKey names the engine's state folder. It changes with the engine, the SDK
// and the images, whose cached results must not be reused.
func (m Maker) StateKey() (string, error) {
	programs, err := m.programsKey()
	if err != nil {
		return "", err
	}
	sdk, err := m.sdkKey()
	if err != nil {
		return "", err
	}
	rootfs, err := m.rootfsKey()
	if err != nil {
		return "", err
	}
	return store.Key(store.Text(programs, sdk, rootfs), store.Tree(filepath.Join(m.recipes(), "images")))
}

// StoreNames are the store's names of every artifact of these recipes.
func (m Maker) StoreNames() (map[string]bool, error) {
	names := map[string]bool{"recipes-" + m.Home.Key[:16]: true}
	for kind, key := range map[string]func() (string, error){
		"programs": m.programsKey, "dial": m.programsKey, "rootfs": m.rootfsKey, "sdk": m.sdkKey,
		"mmdebstrap": packageKey("mmdebstrap"), "qemu-user-static": packageKey("qemu-user-static"),
	} {
		key, err := key()
		if err != nil {
			return nil, err
		}
		names[kind+"-"+key] = true
	}
	images, err := m.Images()
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		for _, arch := range []string{"amd64", "arm64"} {
			key, err := m.ImageKey(image, arch)
			if err != nil {
				return nil, err
			}
			names["image-"+key] = true
		}
	}
	return names, nil
}
