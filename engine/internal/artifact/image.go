package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"pitwall/engine/internal/store"
)

// ErrNoRecipe means that there is no recipe for an image.
var ErrNoRecipe = errors.New("no recipe")

// Build builds a Dockerfile with the running engine, pushes the image to the
// local registry and returns its manifest.
type Build func(ctx context.Context, recipe, context, arch, key string) (manifest []byte, err error)

var debianTag = regexp.MustCompile(`^debian:(bookworm|trixie)-slim$`)

// fromLine matches a FROM instruction: its image or stage, and its name.
var fromLine = regexp.MustCompile(`(?mi)^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?`)

// Blobs is the folder of all images' layers and configs.
func (m Maker) Blobs() string { return filepath.Join(m.Store.Dir, "blobs") }

func (m Maker) recipe(image string) string {
	repository, tag, _ := strings.Cut(image, ":")
	return filepath.Join(m.recipes(), "images", filepath.FromSlash(repository), tag)
}

// Images lists the images that can be made, such as node:24-bookworm-slim.
func (m Maker) Images() ([]string, error) {
	root := filepath.Join(m.recipes(), "images")
	images := []string{"debian:bookworm-slim", "debian:trixie-slim"}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "Dockerfile" {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		images = append(images, filepath.ToSlash(filepath.Dir(rel))+":"+filepath.Base(rel))
		return err
	})
	return images, err
}

// ImageKey digests the inputs of an image, including its base images. Throws
// ErrNoRecipe if there is no recipe.
func (m Maker) ImageKey(image, arch string) (string, error) {
	if base := debianTag.FindStringSubmatch(image); base != nil {
		return store.Key(store.Text("debian-1", base[1], arch), store.Text(slimConfig), mirrorInput(base[1]), settingsInput, addedCertificates)
	}
	dockerfile, err := os.ReadFile(filepath.Join(m.recipe(image), "Dockerfile"))
	if os.IsNotExist(err) {
		return "", fmt.Errorf("%s: %w", image, ErrNoRecipe)
	} else if err != nil {
		return "", err
	}
	inputs := []store.Input{store.Text("image-1", arch), store.Tree(m.recipe(image))}
	stages := map[string]bool{"scratch": true}
	for _, from := range fromLine.FindAllStringSubmatch(string(dockerfile), -1) {
		if base := from[1]; !stages[base] {
			key, err := m.ImageKey(base, arch)
			if err != nil {
				return "", fmt.Errorf("%s is FROM %s: %w", image, base, err)
			}
			inputs = append(inputs, store.Text(key))
		}
		stages[from[2]] = true
	}
	return store.Key(inputs...)
}

// Image makes an image for an architecture if it is missing and returns its
// manifest. Its blobs are in Blobs.
func (m Maker) Image(ctx context.Context, image, arch string, build Build) ([]byte, error) {
	key, err := m.ImageKey(image, arch)
	if err != nil {
		return nil, err
	}
	dir, err := m.Store.Ensure(ctx, "image", key, func(ctx context.Context, dir string) error {
		var manifest []byte
		if base := debianTag.FindStringSubmatch(image); base != nil {
			manifest, err = m.debianImage(ctx, base[1], arch, dir)
		} else {
			manifest, err = m.dockerfileImage(ctx, image, arch, key, dir, build)
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "name"), []byte(image+" "+arch), 0o644); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "manifest.json"), manifest, 0o644)
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "manifest.json"))
}

func (m Maker) debianImage(ctx context.Context, suite, arch, dir string) ([]byte, error) {
	root := filepath.Join(dir, "root")
	if err := m.debootstrap(ctx, fmt.Sprintf("debian:%s-slim (%s)", suite, arch), suite, arch, []string{"ca-certificates"}, root); err != nil {
		return nil, err
	}
	if err := trust(root); err != nil {
		return nil, err
	}
	for path, text := range MachineSettings() {
		to := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	tar := filepath.Join(dir, "root.tar")
	pack := exec.CommandContext(ctx, "tar", "--numeric-owner", "--sort=name", "--xattrs", "--exclude=./dev/*", "-C", root, "-cf", tar, ".")
	if out, err := pack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("packing debian:%s-slim: %w: %s", suite, err, out)
	}
	image, err := imageOf(tar, arch, v1.Config{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Cmd: []string{"bash"},
	})
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return nil, err
		}
		data, err := layer.Compressed()
		if err != nil {
			return nil, err
		}
		if err := m.writeBlob(digest, data); err != nil {
			return nil, err
		}
	}
	digest, err := image.ConfigName()
	if err != nil {
		return nil, err
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return nil, err
	}
	if err := m.writeBlob(digest, io.NopCloser(strings.NewReader(string(config)))); err != nil {
		return nil, err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return nil, err
	}
	return manifest, errors.Join(os.RemoveAll(root), os.Remove(tar))
}

func (m Maker) writeBlob(digest v1.Hash, data io.ReadCloser) error {
	defer data.Close()
	to := filepath.Join(m.Blobs(), digest.Algorithm, digest.Hex)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(m.Blobs(), "upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err := io.Copy(temp, data); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), to)
}

// dockerfileImage builds the Go tools of a recipe and then its Dockerfile.
func (m Maker) dockerfileImage(ctx context.Context, image, arch, key, dir string, build Build) ([]byte, error) {
	m.Store.Report("making %s (%s), once", image, arch)
	folder := filepath.Join(dir, "context")
	if err := os.CopyFS(folder, os.DirFS(m.recipe(image))); err != nil {
		return nil, err
	}
	if err := m.goTools(ctx, image, arch, folder); err != nil {
		return nil, err
	}
	manifest, err := build(ctx, image, folder, arch, key)
	if err != nil {
		return nil, err
	}
	return manifest, os.RemoveAll(folder)
}

// goTools builds the tools of the recipe's go.mod into bin/, with the linker
// flags of its file `ldflags`.
func (m Maker) goTools(ctx context.Context, image, arch, folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err != nil {
		return nil
	}
	flags, err := os.ReadFile(filepath.Join(folder, "ldflags"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	m.Store.Report("building the programs of %s from Go modules: some minutes, once", image)
	return m.Run(ctx, Step{What: "building " + image, Lines: "packages compiled"}, func() *exec.Cmd {
		return m.goCommand(ctx, folder, []string{"GOARCH=" + arch}, "build", "-v", "-trimpath",
			"-ldflags", "-s -w "+strings.TrimSpace(string(flags)), "-o", "bin/", "tool")
	})
}

// MachineSettings are files for every image that point npm and pip to the
// registries of this machine. Addresses with a password are left out: everybody
// could read them in the image.
var MachineSettings = sync.OnceValue(func() map[string]string {
	settings := map[string]string{}
	ask := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).Output()
		address := strings.TrimSpace(string(out))
		if err != nil || !strings.HasPrefix(address, "http") || strings.Contains(address, "@") {
			return ""
		}
		return address
	}
	if index := ask("python3", "-m", "pip", "config", "get", "global.index-url"); index != "" {
		settings["etc/pip.conf"] = "[global]\nindex-url = " + index + "\n"
	}
	if registry := ask("npm", "config", "get", "registry"); registry != "" {
		settings["usr/local/etc/npmrc"] = "registry=" + registry + "\n"
	}
	return settings
})

func settingsInput() ([]byte, error) { return json.Marshal(MachineSettings()) }

// certificates is the folder of the certificates that an administrator added.
const certificates = "usr/local/share/ca-certificates"

func addedCertificates() ([]byte, error) {
	files, err := filepath.Glob("/" + certificates + "/*.crt")
	var all []byte
	for _, file := range files {
		data, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr)
		all = append(append(all, data...), '\n')
	}
	return all, err
}

// trust adds this machine's certificates to an image's bundle and to the folder
// that later bundles are made from.
func trust(root string) error {
	added, err := addedCertificates()
	if err != nil || len(added) == 0 {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, certificates), 0o755); err != nil {
		return err
	}
	for i, certificate := range bytes.SplitAfter(added, []byte("-----END CERTIFICATE-----")) {
		if certificate = bytes.TrimSpace(certificate); len(certificate) == 0 {
			continue
		}
		name := filepath.Join(root, certificates, fmt.Sprintf("machine-%d.crt", i))
		if err := os.WriteFile(name, append(certificate, '\n'), 0o644); err != nil {
			return err
		}
	}
	bundle, err := os.OpenFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = bundle.Write(added)
	return errors.Join(err, bundle.Close())
}
