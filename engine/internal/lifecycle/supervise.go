package lifecycle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pitwall/engine/internal/artifact"
	"pitwall/engine/internal/binfmt"
	"pitwall/engine/internal/home"
	"pitwall/engine/internal/registry"
	"pitwall/engine/internal/sandbox"
	"pitwall/engine/internal/store"
)

const (
	registryAddress = "127.0.0.1:5000"
	engineGrace     = 20 * time.Second
)

// engineConfig makes the engine pull from our registry first and bounds its cache.
var engineConfig = []byte(`{
  "logLevel": "info",
  "registries": {
    "docker.io": {"mirrors": ["` + registryAddress + `"]},
    "ghcr.io": {"mirrors": ["` + registryAddress + `"]},
    "quay.io": {"mirrors": ["` + registryAddress + `"]},
    "` + registryAddress + `": {"http": true}
  },
  "gc": {"reservedSpace": "15GB", "maxUsedSpace": "60GB", "minFreeSpace": "5GB"}
}
`)

// label names the control group and binfmt entry of this home.
func label(h home.Home) string {
	sum := sha256.Sum256([]byte(h.Dir))
	return "pitwall-" + hex.EncodeToString(sum[:])[:10]
}

// removeLeftovers removes what a killed engine may have left.
func (m Manager) removeLeftovers() error {
	var errs error
	for _, file := range []string{m.Home.Instance(), m.Home.Socket()} {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			errs = errors.Join(errs, err)
		}
	}
	return errors.Join(errs, sandbox.RemoveCgroup(label(m.Home)), binfmt.Remove(label(m.Home)))
}

// Supervise runs the engine and its registry until a signal or the engine's end.
func (m Manager) Supervise(programs string) (err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	signal.Ignore(syscall.SIGHUP)
	lock, err := store.TryLock(m.Home.RunLock())
	if err != nil {
		return err
	}
	if lock == nil {
		return errors.New("an engine runs already in this home")
	}
	defer lock.Close()
	if err := lock.Truncate(0); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(lock, os.Getpid()); err != nil {
		return err
	}
	if err := m.removeLeftovers(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.removeLeftovers()) }()

	events, err := os.OpenFile(m.Home.Events(), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer events.Close()
	m.Report = func(format string, args ...any) {
		line := fmt.Sprintf("pitwall: "+format+"\n", args...)
		// One write for each line keeps lines of concurrent images apart.
		events.WriteString(line)
		fmt.Fprintf(os.Stderr, "%s %s", time.Now().Format(time.RFC3339), line)
	}
	maker := m.maker()
	state, err := maker.StateKey()
	if err != nil {
		return err
	}
	instance := Instance{
		Pid: os.Getpid(), Key: m.Home.Key, Version: m.Home.Version, Started: time.Now(),
		State: filepath.Join(m.Home.States(), state), CLI: filepath.Join(programs, "bin", "dagger"),
	}
	// Asking npm and pip for their registries takes a second, so it starts before the first pull.
	go artifact.MachineSettings()
	engine, log, err := m.engine(ctx, maker, programs, instance.State)
	if err != nil {
		return err
	}
	defer log.Close()
	defer func() { err = errors.Join(err, engine.Stop(engineGrace)) }()
	instance.Sandbox = engine.Pid()

	listener, err := engine.Listen(registryAddress)
	if err != nil {
		return fmt.Errorf("the registry: %w", err)
	}
	images := &imageMaker{Manager: m, maker: maker, cli: instance.CLI}
	handler, err := registry.New(ctx, m.Home.Registry(), maker.Blobs(), images)
	if err != nil {
		return err
	}
	images.compileEarly(ctx)
	defer images.stopEarly()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()

	if err := m.waitUntilUp(ctx, engine); err != nil {
		return err
	}
	if err := m.resumeArm64(ctx, maker); err != nil {
		return err
	}
	if err := instance.write(m.Home); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-engine.Done():
		return fmt.Errorf("the engine has ended by itself: %v", engine.Err())
	}
}

func (m Manager) engine(ctx context.Context, maker artifact.Maker, programs, state string) (*sandbox.Sandbox, *os.File, error) {
	rootfs, err := maker.Rootfs(ctx)
	if err != nil {
		return nil, nil, err
	}
	sdk, err := maker.SDK(ctx)
	if err != nil {
		return nil, nil, err
	}
	env, err := artifact.EngineEnv(sdk)
	if err != nil {
		return nil, nil, err
	}
	files, err := caBundle()
	if err != nil {
		return nil, nil, err
	}
	files["etc/dagger/engine.json"] = engineConfig
	binds := map[string]string{
		"var/lib/dagger": state,
		"run/dagger":     m.Home.Run(),
		"tmp":            filepath.Join(state, "tmp"),
	}
	// A killed engine may have left files in its /tmp.
	if err := os.RemoveAll(binds["tmp"]); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(binds["tmp"], 0o700); err != nil {
		return nil, nil, err
	}
	if err := os.Chmod(binds["tmp"], 0o777|os.ModeSticky); err != nil {
		return nil, nil, err
	}
	root := filepath.Join(m.Home.Run(), "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	log, err := os.OpenFile(m.Home.EngineLog(), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	box, err := sandbox.Start(sandbox.Config{
		Name:   label(m.Home),
		Layers: []string{filepath.Join(programs, "rootfs"), filepath.Join(sdk, "rootfs"), filepath.Join(rootfs, "rootfs")},
		Binds:  binds, Files: files, Env: env, Root: root, Output: log,
		Args: artifact.EngineCommand,
	})
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return box, log, nil
}

// caBundle has the certificates that this machine trusts, for the engine itself.
// Containers get them from their images. In the engine's folder for added
// certificates they would make it update every container's bundle around every
// command, which takes longer than most commands.
func caBundle() (map[string][]byte, error) {
	bundle := os.Getenv("SSL_CERT_FILE")
	if bundle == "" {
		bundle = "/etc/ssl/certs/ca-certificates.crt"
	}
	data, err := os.ReadFile(bundle)
	if os.IsNotExist(err) {
		return map[string][]byte{}, nil
	}
	return map[string][]byte{"etc/ssl/certs/ca-certificates.crt": data}, err
}

// waitUntilUp waits until the engine answers on its socket.
func (m Manager) waitUntilUp(ctx context.Context, engine *sandbox.Sandbox) error {
	for {
		if conn, err := net.Dial("unix", m.Home.Socket()); err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-engine.Done():
			return fmt.Errorf("the engine has ended: %v", engine.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// imageMaker makes images with the engine that pulls them.
type imageMaker struct {
	Manager
	maker artifact.Maker
	cli   string
	early *artifact.EarlyCompile
}

// compileEarly starts compiling the images that the first `call ci` would wait for longest. It
// belongs to no call, so it reports to the manager's log only.
func (l *imageMaker) compileEarly(ctx context.Context) {
	maker := l.maker
	maker.Store.Report = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%s early: "+format+"\n", append([]any{time.Now().Format(time.RFC3339)}, args...)...)
	}
	l.early = maker.StartEarly(ctx, artifact.Early, func(err error) { maker.Store.Report("%v", err) })
}

// stopEarly frees the processors for an image that somebody waits for.
func (l *imageMaker) stopEarly() {
	if l.early != nil {
		l.early.Stop()
	}
}

func (l *imageMaker) Manifest(ctx context.Context, image, arch string) ([]byte, error) {
	if _, err := l.maker.ImageKey(image, arch); errors.Is(err, artifact.ErrNoRecipe) {
		return nil, nil
	}
	if err := l.emulate(ctx, l.maker, arch); err != nil {
		return nil, err
	}
	if l.maker.Compiles(image, arch) {
		l.stopEarly()
	}
	manifest, err := l.maker.Image(ctx, image, arch, l.build)
	if err != nil {
		l.Report("cannot make %s (%s): %v", image, arch, err)
	}
	return manifest, err
}

// build builds the Dockerfile in a folder, pushes the image to our registry and
// returns its manifest.
func (l *imageMaker) build(ctx context.Context, image, folder, arch, key string) ([]byte, error) {
	repository := "pitwall/" + strings.ReplaceAll(strings.Split(image, ":")[0], "/", "-")
	err := l.maker.Run(ctx, artifact.Step{What: "making " + image}, func() *exec.Cmd {
		cmd := exec.CommandContext(ctx, l.cli, "core", "--progress=plain", "host", "directory", "--path", ".",
			"docker-build", "--platform", "linux/"+arch, "publish", "--address", registryAddress+"/"+repository+":"+key)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "_EXPERIMENTAL_DAGGER_RUNNER_HOST=unix://"+l.Home.Socket(),
			"DO_NOT_TRACK=1", "DAGGER_NO_NAG=1", "NO_COLOR=1")
		return cmd
	})
	if err != nil {
		return nil, err
	}
	manifest, err := os.ReadFile(registry.ManifestPath(l.Home.Registry(), repository, key))
	if err != nil {
		return nil, err
	}
	var index struct{ Manifests []json.RawMessage }
	if json.Unmarshal(manifest, &index); index.Manifests != nil || !bytes.Contains(manifest, []byte("layers")) {
		return nil, fmt.Errorf("%s was not pushed as a single image", image)
	}
	return manifest, nil
}

// arm64Marker is a file that exists once this home has made an arm64 image.
func (m Manager) arm64Marker() string { return filepath.Join(m.Home.Dir, "arm64") }

// emulate lets the kernel run programs of another architecture until the engine
// stops.
func (m Manager) emulate(ctx context.Context, maker artifact.Maker, arch string) error {
	if arch != "arm64" || binfmt.Runs(arch) {
		return nil
	}
	qemu, err := maker.Emulator(ctx)
	if err != nil {
		return err
	}
	if err := binfmt.Add(label(m.Home), qemu, filepath.Join(m.Home.Run(), "binfmt")); err != nil {
		return err
	}
	return os.WriteFile(m.arm64Marker(), nil, 0o600)
}

func (m Manager) resumeArm64(ctx context.Context, maker artifact.Maker) error {
	if _, err := os.Stat(m.arm64Marker()); err != nil {
		return nil
	}
	return m.emulate(ctx, maker, "arm64")
}
