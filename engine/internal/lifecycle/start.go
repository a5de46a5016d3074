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
	// When the machine went down under it, the engine removes its whole cache before it answers.
	startTimeout = 15 * time.Minute
	slowStart    = 15 * time.Second
	stopTimeout  = 30 * time.Second
	// What a first start needs on the disk, and one whose cache is there: the
	// engine frees its cache itself.
	firstFreeGB, laterFreeGB = 15, 5
)

// SuperviseCommand is the command of this program that runs Supervise.
const SuperviseCommand = "supervise"

// Manager starts, stops and inspects the local engine of a home.
type Manager struct {
	Home   home.Home
	Report func(format string, args ...any)
}

func (m Manager) maker() artifact.Maker {
	return artifact.Maker{Home: m.Home, Store: store.Store{Dir: m.Home.Store, Report: m.Report}}
}

// Start makes missing artifacts and starts the engine unless it runs already. Of
// several concurrent calls one does the work and the others wait.
func (m Manager) Start(ctx context.Context) (*Instance, error) {
	if i, err := Running(m.Home); err != nil || i.matches(m.Home) {
		return i, err
	}
	if err := m.makeRoom(ctx); err != nil {
		return nil, err
	}
	if missing := unmet(m.Home); len(missing) > 0 {
		return nil, fmt.Errorf("the local engine cannot run here:\n%s", strings.Join(missing, "\n"))
	}
	if err := m.Home.Make(); err != nil {
		return nil, err
	}
	lock, err := store.Lock(ctx, m.Home.StartLock(), func() { m.Report("another daggerw is starting the engine, waiting for it") })
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	running, err := Running(m.Home)
	if err != nil || running.matches(m.Home) {
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

// makeRoom removes the caches of other versions' engines when the disk is short of
// space: nothing but such a version can use them.
func (m Manager) makeRoom(ctx context.Context) error {
	states, err := filepath.Glob(filepath.Join(m.Home.States(), "*"))
	if err != nil || len(states) == 0 || os.Geteuid() != 0 {
		return err
	}
	if free, err := freeGB(m.Home); err != nil || free >= firstFreeGB {
		return err
	}
	if err := m.Home.Make(); err != nil {
		return err
	}
	lock, err := store.TryLock(m.Home.StartLock())
	if err != nil || lock == nil {
		return err // another start does it
	}
	defer lock.Close()
	if err := m.maker().Recipes(ctx); err != nil {
		return err
	}
	current, err := m.maker().StateKey()
	if err != nil {
		return err
	}
	running, err := Running(m.Home)
	if err != nil {
		return err
	}
	for _, state := range states {
		if filepath.Base(state) == current || running != nil && running.State == state {
			continue
		}
		m.Report("the disk is nearly full: removing the cache of another version's engine, %s", state)
		if err := os.RemoveAll(state); err != nil {
			return err
		}
	}
	return nil
}

// make makes the artifacts of an engine in parallel.
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

// replace stops an engine of other recipes when nobody uses it any more.
func (m Manager) replace(ctx context.Context, old *Instance) error {
	m.Report("the running engine (%s) was built from other recipes: it is replaced when its last call has ended", old.Version)
	idle, err := store.Lock(ctx, m.Home.Clients(), func() { m.Report("it is in use, waiting") })
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
	deadline, slow := time.After(startTimeout), time.After(slowStart)
	for {
		if i, err := Running(m.Home); err != nil || i != nil {
			return i, err
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the engine did not start (%v):\n%s", err, m.logTail())
		case <-slow:
			m.Report("the engine is not up yet: if the machine went down without `./daggerw engine stop`, it first removes its cache")
		case <-deadline:
			supervisor.Process.Signal(syscall.SIGTERM)
			return nil, fmt.Errorf("the engine did not answer within %v:\n%s", startTimeout, m.logTail())
		case <-ctx.Done():
			supervisor.Process.Signal(syscall.SIGTERM)
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// logTail returns the last lines of both logs.
func (m Manager) logTail() string {
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

// Exec starts the engine if it does not run, and becomes the CLI.
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

// Stop ends the engine and waits until all its processes and mounts are gone. It
// also removes the leftovers of a killed engine. A stopped engine is no error.
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
			// The supervisor releases the lock just before it ends.
			for supervisor != 0 && syscall.Kill(supervisor, 0) == nil && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
			return m.removeLeftovers()
		}
		if supervisor == 0 {
			// The lock file has the holder's process number while the engine still starts.
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

// Follow prints the supervisor's events (images being made) on stderr until
// standard input is closed. If the engine ends, it ends the CLI, which would wait
// for ever.
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
		// Checked before the file is read, so that the last events are not missed.
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
			fmt.Fprintln(os.Stderr, "pitwall: the engine has ended, and with it this run: ./daggerw engine logs shows why")
			for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
				// An error means that it is gone already.
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

// follow starts Follow before this process becomes the CLI.
func follow(h home.Home) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command("/proc/self/exe", FollowCommand)
	cmd.Stdin, cmd.Stderr = read, os.Stderr
	// Ctrl-C must reach the CLI only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return keepOpen(int(write.Fd()))
}

// CLI returns the path of the CLI that is built with the engine, and builds it if missing.
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

// EngineImage writes the engine as a container image to a file, and returns the image's name.
func (m Manager) EngineImage(ctx context.Context, file string) (string, error) {
	if missing := unmet(m.Home); len(missing) > 0 {
		return "", fmt.Errorf("the engine's image cannot be made here:\n%s", strings.Join(missing, "\n"))
	}
	if err := m.Home.Make(); err != nil {
		return "", err
	}
	if _, err := m.make(ctx); err != nil {
		return "", err
	}
	return m.maker().EngineImage(ctx, file)
}
