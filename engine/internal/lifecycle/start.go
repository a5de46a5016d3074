package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"pitwall/engine/internal/artifact"
	"pitwall/engine/internal/home"
	"pitwall/engine/internal/store"
)

const (
	// One whose last end was sudden removes its whole cache first; one that cannot start ends by itself.
	startTimeout  = 15 * time.Minute
	startPatience = 15 * time.Second
	stopTimeout   = 30 * time.Second
	defaultFreeGB = 15
)

// SuperviseCommand is the command of this program that watches over an engine.
const SuperviseCommand = "supervise"

// Manager does what an operator asks for.
type Manager struct {
	Home home.Home
	Say  func(format string, args ...any)
}

func (m Manager) maker() artifact.Maker {
	return artifact.Maker{Home: m.Home, Store: store.Store{Dir: m.Home.Store, Say: m.Say}}
}

// Start makes what is missing and starts the engine, unless it runs already.
// Of several at the same time one does the work, the others wait and say so.
func (m Manager) Start(ctx context.Context) (*Instance, error) {
	if i, err := Running(m.Home); err != nil || i.fits(m.Home) {
		return i, err
	}
	if lacks := lacking(m.Home); len(lacks) > 0 {
		return nil, fmt.Errorf("the local engine cannot run here:\n%s", strings.Join(lacks, "\n"))
	}
	if err := m.Home.Make(); err != nil {
		return nil, err
	}
	lock, err := store.Lock(ctx, m.Home.StartLock(), func() { m.Say("another daggerw is starting the engine, waiting for it") })
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	running, err := Running(m.Home)
	if err != nil || running.fits(m.Home) {
		return running, err
	}
	programs, err := m.make(ctx)
	if err != nil {
		return nil, err
	}
	if running != nil {
		if err := m.replace(ctx, running); err != nil {
			return nil, err
		}
	}
	return m.launch(ctx, programs)
}

// make makes all that an engine needs to start, side by side.
func (m Manager) make(ctx context.Context) (programs string, err error) {
	maker := m.maker()
	if err := maker.Recipes(ctx); err != nil {
		return "", err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { programs, err = maker.Programs(ctx); return err })
	group.Go(func() error { _, err := maker.Rootfs(ctx); return err })
	group.Go(func() error { _, err := maker.SDK(ctx); return err })
	return programs, group.Wait()
}

// replace ends an engine made from other recipes, once nobody uses it.
func (m Manager) replace(ctx context.Context, old *Instance) error {
	m.Say("the running engine (%s) is of other recipes: replacing it when its last call has ended", old.Version)
	idle, err := store.Lock(ctx, m.Home.Clients(), func() { m.Say("it is in use, waiting") })
	if err != nil {
		return err
	}
	defer idle.Close()
	return m.Stop()
}

func (m Manager) launch(ctx context.Context, programs string) (*Instance, error) {
	log, err := os.OpenFile(m.Home.ManagerLog(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	supervisor := exec.Command("/proc/self/exe", SuperviseCommand, programs)
	supervisor.Dir = m.Home.Dir
	supervisor.Stdout, supervisor.Stderr = log, log
	supervisor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := supervisor.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- supervisor.Wait() }()
	deadline, slow := time.After(startTimeout), time.After(startPatience)
	for {
		if i, err := Running(m.Home); err != nil || i != nil {
			return i, err
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the engine did not start (%v):\n%s", err, m.lastWords())
		case <-slow:
			m.Say("the engine is not up yet: if it was killed the last time, it first removes what it had cached")
		case <-deadline:
			supervisor.Process.Signal(syscall.SIGTERM)
			return nil, fmt.Errorf("the engine did not answer within %v:\n%s", startTimeout, m.lastWords())
		case <-ctx.Done():
			supervisor.Process.Signal(syscall.SIGTERM)
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lastWords is the end of both logs.
func (m Manager) lastWords() string {
	var words []string
	for _, log := range []string{m.Home.ManagerLog(), m.Home.EngineLog()} {
		data, err := os.ReadFile(log)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		words = append(words, lines[max(0, len(lines)-10):]...)
	}
	return "  " + strings.Join(words, "\n  ") + "\n  (all of it: ./daggerw engine logs)"
}

// Exec becomes the CLI with these arguments, on an engine that is started first
// where it does not run.
func (m Manager) Exec(ctx context.Context, args []string) error {
	i, err := m.Start(ctx)
	if err != nil {
		return err
	}
	if err := Use(m.Home); err != nil {
		return err
	}
	if err := follow(m.Home); err != nil {
		return err
	}
	env := append(os.Environ(), "_EXPERIMENTAL_DAGGER_RUNNER_HOST=unix://"+m.Home.Socket())
	return unix.Exec(i.CLI, append([]string{"dagger"}, args...), env)
}

// Stop ends the engine and waits until nothing of it is left. It is no error
// when none runs; what a killed one left is removed as well.
func (m Manager) Stop() error {
	if err := m.Home.Make(); err != nil {
		return err
	}
	deadline := time.Now().Add(stopTimeout)
	for supervisor := 0; ; {
		lock, err := store.TryLock(m.Home.RunLock())
		if err != nil {
			return err
		}
		if lock != nil {
			defer lock.Close()
			// It gives up the lock as its last act: a moment later it is gone.
			for supervisor != 0 && syscall.Kill(supervisor, 0) == nil && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
			return m.clear()
		}
		if supervisor == 0 {
			// The lock file names its holder also while the engine is still starting.
			data, err := os.ReadFile(m.Home.RunLock())
			if err != nil {
				return err
			}
			if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
				if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
					return err
				}
				supervisor = pid
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the engine has not ended within %v: see ./daggerw engine logs", stopTimeout)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Follow prints what the engine's supervisor says (images being made) on
// stderr, for as long as standard input stays open. Where the engine ends before
// the CLI does, it ends the CLI, which would wait for it for ever.
func Follow(h home.Home) error {
	cli := os.Getppid()
	file, err := os.Open(h.Events())
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		os.Stdin.Read(make([]byte, 1))
	}()
	buffer := make([]byte, 64<<10)
	beat, check := time.NewTicker(200*time.Millisecond), time.NewTicker(time.Second)
	for {
		// Asked before the file is read, so that the last words are not missed.
		ended := isClosed(over)
		n, _ := file.Read(buffer)
		os.Stderr.Write(buffer[:n])
		if ended {
			return nil
		}
		select {
		case <-over:
		case <-beat.C:
		case <-check.C:
			conn, err := net.Dial("unix", h.Socket())
			if err == nil {
				conn.Close()
				continue
			}
			fmt.Fprintln(os.Stderr, "pitwall: the engine has ended, and with it this run: ./daggerw engine logs says why")
			for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
				// Gone already is as good.
				syscall.Kill(cli, sig)
				select {
				case <-over:
					return nil
				case <-time.After(5 * time.Second):
				}
			}
			return nil
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// FollowCommand is the command of this program that runs Follow.
const FollowCommand = "follow"

// follow starts Follow beside the CLI that this process is about to become.
func follow(h home.Home) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe", FollowCommand)
	cmd.Stdin, cmd.Stderr = read, os.Stderr
	// Ctrl-C is for the CLI alone, which says how it ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return keepOpen(int(write.Fd()))
}

// CLI gives the path of the CLI that is built with the engine, built if missing.
func (m Manager) CLI(ctx context.Context) (string, error) {
	if err := m.Home.Make(); err != nil {
		return "", err
	}
	maker := m.maker()
	if err := maker.Recipes(ctx); err != nil {
		return "", err
	}
	programs, err := maker.Programs(ctx)
	return filepath.Join(programs, "bin", "dagger"), err
}
