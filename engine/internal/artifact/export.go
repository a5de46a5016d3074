package artifact

import (
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// engineRepository is the repository of the official engine's image, which the CLI asks a container
// runtime for.
const engineRepository = "registry.dagger.io/engine"

// EngineCommand is the engine's command line, without the arguments that a caller adds.
//
// By default the engine prepares a hundred network namespaces for containers, which keeps a small
// machine busy for ten seconds after each start.
var EngineCommand = []string{"/usr/bin/tini", "--", "/usr/local/bin/dagger-engine", "--oci-cni-pool-size=12"}

// EngineEnv is the engine's environment, for the SDK in a folder that Maker.SDK made.
func EngineEnv(sdk string) ([]string, error) {
	digest, err := os.ReadFile(filepath.Join(sdk, "digest"))
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DO_NOT_TRACK=1",
		// By default a quarter of the engine's time goes into garbage collection. The limit keeps its heap from growing for that.
		"GOGC=400", "GOMEMLIMIT=2GiB",
		"DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST=" + string(digest),
	}, err
}

// dial builds the program that joins a CLI to the engine in a container. The folder has it in
// rootfs/ under the name by which the CLI runs it.
func (m Maker) dial(ctx context.Context) (string, error) {
	key, err := m.programsKey()
	if err != nil {
		return "", err
	}
	return m.Store.Ensure(ctx, "dial", key, func(ctx context.Context, dir string) error {
		to := filepath.Join(dir, "rootfs", "usr/local/bin/buildctl")
		return m.Run(ctx, Step{What: "building buildctl", Lines: "packages compiled"}, func() *exec.Cmd {
			return m.goCommand(ctx, filepath.Join(m.recipes(), "dagger"), nil, "build", "-v", "-trimpath", "-ldflags", "-s -w",
				"-o", to, "github.com/dagger/dagger/cmd/dialstdio")
		})
	})
}

// EngineImage writes the engine to a tar file that `docker load` and `podman load` read, under the
// name of the official engine's image. Returns that name.
func (m Maker) EngineImage(ctx context.Context, file string) (string, error) {
	tag, err := name.NewTag(engineRepository + ":" + m.Home.Version)
	if err != nil {
		return "", err
	}
	var folders []string
	for _, make := range []func(context.Context) (string, error){m.Rootfs, m.SDK, m.Programs, m.dial} {
		folder, err := make(ctx)
		if err != nil {
			return "", err
		}
		folders = append(folders, folder)
	}
	env, err := EngineEnv(folders[1])
	if err != nil {
		return "", err
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH,
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: EngineCommand, Env: env, Volumes: map[string]struct{}{"/var/lib/dagger": {}}},
	})
	if err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(file), ".engine-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	for i, folder := range folders {
		layer := filepath.Join(temp, fmt.Sprintf("%d.tar", i))
		pack := exec.CommandContext(ctx, "tar", "--numeric-owner", "--sort=name", "--mtime=@0", "--exclude=./dev/*",
			"-C", filepath.Join(folder, "rootfs"), "-cf", layer, ".")
		if out, err := pack.CombinedOutput(); err != nil {
			return "", fmt.Errorf("packing the engine: %w: %s", err, out)
		}
		packed, err := tarball.LayerFromFile(layer, tarball.WithCompressionLevel(gzip.BestSpeed))
		if err != nil {
			return "", err
		}
		if image, err = mutate.AppendLayers(image, packed); err != nil {
			return "", err
		}
	}
	whole := filepath.Join(temp, "image.tar")
	if err := tarball.WriteToFile(whole, tag, image); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return tag.Name(), os.Rename(whole, file)
}
