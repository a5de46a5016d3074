// Package sandbox runs the engine in its own namespaces (mounts, processes,
// network, IPC, host name, control groups) and its own root filesystem. The
// kernel frees all of it when the sandbox's first process ends, and that process
// ends with the one that started the sandbox.
package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pitwall/engine/internal/child"
)

// Commands of this program that run inside the sandbox.
const (
	InitCommand    = "sandbox-init"
	NetworkCommand = "sandbox-network"
)

// Where slirp4netns answers DNS for the sandbox, with the machine's resolvers.
const resolver = "10.0.2.3"

// Config describes a sandbox.
type Config struct {
	Name   string            // names the control group
	Layers []string          // folders that make up the root filesystem, the uppermost first
	Binds  map[string]string // path in the sandbox → folder of the machine
	Files  map[string][]byte // files to add to the root filesystem
	Env    []string
	Args   []string
	Root   string // an empty folder for mounts that only the sandbox sees
	Output *os.File
}

// Sandbox is a running sandbox.
type Sandbox struct {
	init, network *exec.Cmd
	cgroup        cgroup
	done          chan struct{}
	err           error
}

func self(command string, flags uintptr, output *os.File) (cmd *exec.Cmd, config *os.File, ready *os.File, err error) {
	configRead, configWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	cmd = exec.Command("/proc/self/exe", command)
	cmd.ExtraFiles = []*os.File{configRead, readyWrite}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Setsid: true}
	err = child.Start(cmd)
	configRead.Close()
	readyWrite.Close()
	if err != nil {
		configWrite.Close()
		readyRead.Close()
	}
	return cmd, configWrite, readyRead, err
}

// Start starts the sandbox and waits until its network is up and its program runs.
func Start(config Config) (*Sandbox, error) {
	s := &Sandbox{done: make(chan struct{})}
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	var toInit, fromInit *os.File
	var err error
	if s.init, toInit, fromInit, err = self(InitCommand, namespaces, config.Output); err != nil {
		return nil, fmt.Errorf("new namespaces: %w", err)
	}
	defer toInit.Close()
	defer fromInit.Close()
	fail := func(err error) (*Sandbox, error) {
		s.init.Process.Kill()
		s.init.Wait()
		if s.network != nil {
			s.network.Process.Kill()
			s.network.Wait()
		}
		return nil, errors.Join(err, s.cgroup.remove())
	}
	if s.cgroup, err = newCgroup(config.Name, s.init.Process.Pid); err != nil {
		return fail(err)
	}
	if err := json.NewEncoder(toInit).Encode(config); err != nil {
		return fail(err)
	}
	if err := expect(fromInit, "mounted"); err != nil {
		return fail(fmt.Errorf("mounting the root filesystem: %w", err))
	}

	var toNetwork, fromNetwork *os.File
	if s.network, toNetwork, fromNetwork, err = self(NetworkCommand, unix.CLONE_NEWNS, config.Output); err != nil {
		return fail(err)
	}
	defer toNetwork.Close()
	defer fromNetwork.Close()
	err = json.NewEncoder(toNetwork).Encode(networkConfig{Layers: config.Layers, Root: config.Root, Pid: s.init.Process.Pid})
	if err != nil {
		return fail(err)
	}
	if err := expect(fromNetwork, "1"); err != nil {
		return fail(fmt.Errorf("user-mode network: %w", err))
	}
	if _, err := toInit.WriteString("go\n"); err != nil {
		return fail(err)
	}
	// A sandbox is useless without its network, so they end together.
	offline := make(chan struct{})
	go func() {
		s.network.Wait()
		s.init.Process.Signal(syscall.SIGTERM)
		close(offline)
	}()
	go func() {
		s.err = s.init.Wait()
		s.network.Process.Kill()
		<-offline
		close(s.done)
	}()
	return s, nil
}

func expect(from io.Reader, want string) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		return errors.New("it ended early; its log shows why")
	}
	return nil
}

// Pid is the machine's process number of the sandbox's first process.
func (s *Sandbox) Pid() int { return s.init.Process.Pid }

// Done is closed when the sandbox has ended for any reason.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// Err is the error that the sandbox ended with. Valid after Done.
func (s *Sandbox) Err() error { return s.err }

// Listen listens inside the sandbox's network. The machine cannot reach it.
func (s *Sandbox) Listen(address string) (listener net.Listener, err error) {
	target, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", s.Pid()))
	if err != nil {
		return nil, err
	}
	defer target.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread changed namespaces and must end with the goroutine.
		runtime.LockOSThread()
		if err = unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err == nil {
			listener, err = net.Listen("tcp", address)
		}
	}()
	<-done
	return listener, err
}

// Stop asks the sandbox's program to end, kills it after the grace period, and
// removes its leftovers. It may be called again.
func (s *Sandbox) Stop(grace time.Duration) error {
	s.init.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(grace):
		s.init.Process.Kill()
		<-s.done
	}
	return s.cgroup.remove()
}

// RunInit is the sandbox's first process. It sets the sandbox up and then
// becomes the program.
func RunInit() error {
	runtime.LockOSThread()
	in, ready := os.NewFile(3, "config"), os.NewFile(4, "ready")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	decoder := json.NewDecoder(in)
	var config Config
	if err := decoder.Decode(&config); err != nil {
		return err
	}
	groups, err := enterCgroup()
	if err != nil {
		return err
	}
	root, err := mountRoot(config.Layers, config.Root)
	if err != nil {
		return err
	}
	for _, m := range []mount{
		{"proc", "proc", "proc", 0, ""},
		{"sysfs", "sys", "sysfs", 0, ""},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "dev/shm", "tmpfs", 0, ""},
		{"tmpfs", "run", "tmpfs", 0, "mode=755"},
	} {
		if err := m.in(root); err != nil {
			return err
		}
	}
	if err := groups.mount(filepath.Join(root, "sys/fs/cgroup")); err != nil {
		return err
	}
	for place, folder := range config.Binds {
		if err := (mount{folder, place, "", unix.MS_BIND, ""}).in(root); err != nil {
			return err
		}
	}
	config.Files["etc/resolv.conf"] = []byte("nameserver " + resolver + "\n")
	config.Files["etc/hosts"] = []byte("127.0.0.1 localhost\n::1 localhost\n")
	for path, data := range config.Files {
		to := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		// Debian's resolv.conf may be a link, which must not lead to another file.
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return err
		}
	}
	if err := pivot(root); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(config.Name)); err != nil {
		return err
	}
	if _, err := ready.WriteString("mounted"); err != nil {
		return err
	}
	// The rest of the config pipe reports that the network is up.
	if _, err := io.ReadFull(io.MultiReader(decoder.Buffered(), in), make([]byte, len("\ngo\n"))); err != nil {
		return errors.New("the starting process is gone")
	}
	return unix.Exec(config.Args[0], config.Args, config.Env)
}

type networkConfig struct {
	Layers []string
	Root   string
	Pid    int
}

// RunNetwork becomes the slirp4netns of the same root filesystem. It runs in the
// machine's network and connects the sandbox's network to it.
func RunNetwork() error {
	runtime.LockOSThread()
	var config networkConfig
	if err := json.NewDecoder(os.NewFile(3, "config")).Decode(&config); err != nil {
		return err
	}
	unix.CloseOnExec(3)
	resolvConf, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("the machine's resolver: %w", err)
	}
	root, err := mountRoot(config.Layers, config.Root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "etc/resolv.conf"), resolvConf, 0o644); err != nil {
		return err
	}
	for _, m := range []mount{
		{"/proc", "proc", "", unix.MS_BIND | unix.MS_REC, ""},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC, ""},
	} {
		if err := m.in(root); err != nil {
			return err
		}
	}
	if err := pivot(root); err != nil {
		return err
	}
	return unix.Exec("/usr/bin/slirp4netns", []string{
		"slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--ready-fd=4",
		fmt.Sprint(config.Pid), "tap0",
	}, []string{"PATH=/usr/bin"})
}
