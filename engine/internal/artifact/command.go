package artifact

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"pitwall/engine/internal/child"
)

const (
	attempts       = 4
	tailLines      = 15
	reportInterval = 15 * time.Second
	// A registry that is silent for this long is not going to answer.
	downloadIdleTimeout = 3 * time.Minute
)

// transientPattern matches errors after which another try may succeed.
var transientPattern = regexp.MustCompile(`(?i)time(d )?-?out|temporary failure|connection (reset|refused|failed)|could not connect|TLS handshake|unexpected EOF|no route to host|\b(429|500|502|503|504)\b|hash sum mismatch|stream error|network is unreachable`)

// causePattern matches the lines of a tool's output that name the cause.
var causePattern = regexp.MustCompile(`(?i)^(E: |W: Failed|Err:|go: |ERROR: |npm ERR|npm error|error: )|failed to fetch|reading http|no matching distribution`)

// failure is the error of a command, with the end of its output.
type failure struct {
	what string
	tail []string
	err  error
}

func (f *failure) Error() string {
	named := []string{}
	for _, line := range f.tail {
		if causePattern.MatchString(line) {
			named = append(named, line)
		}
	}
	if len(named) == 0 {
		named = f.tail
	}
	return fmt.Sprintf("%s: %v\n  %s", f.what, f.err, strings.Join(named, "\n  "))
}

func (f *failure) Unwrap() error { return f.err }

// retryable reports whether another try may succeed.
func (f *failure) retryable() bool { return transientPattern.MatchString(strings.Join(f.tail, "\n")) }

// Step is a command to run for an artifact.
type Step struct {
	What        string        // for the user: "building the engine"
	Lines       string        // what a line of its output counts, such as "packages compiled"; "": lines are not counted
	IdleTimeout time.Duration // time without output after which it is killed; 0: unlimited
}

// Run runs a command and reports its progress every 15 seconds. It retries with
// growing pauses after errors of the network or a registry. Throws with the
// tool's own lines about the cause.
func (m Maker) Run(ctx context.Context, step Step, cmd func() *exec.Cmd) error {
	pause := 2 * time.Second
	for attempt := 1; ; attempt++ {
		err := m.once(ctx, step, cmd())
		var failed *failure
		if err == nil || !errors.As(err, &failed) || !failed.retryable() || attempt == attempts {
			return err
		}
		m.Store.Report("%s: the network or a registry faltered, trying again in %v (%d of %d): %s",
			step.What, pause, attempt+1, attempts, failed.tail[len(failed.tail)-1])
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (m Maker) once(ctx context.Context, step Step, cmd *exec.Cmd) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	// The tool must not survive this process.
	err = child.Start(cmd)
	write.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", step.What, err)
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()

	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(read)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
		io.Copy(io.Discard, read)
	}()

	started, seen, hanging := time.Now(), 0, false
	heard := started
	var tail []string
	beat := time.NewTicker(reportInterval)
	defer beat.Stop()
	check := time.NewTicker(time.Second)
	defer check.Stop()
	for open := true; open; {
		select {
		case line, ok := <-lines:
			heard = time.Now()
			if open = ok; !ok || strings.TrimSpace(line) == "" {
				continue
			}
			seen++
			if tail = append(tail, line); len(tail) > tailLines {
				tail = tail[1:]
			}
		case <-beat.C:
			progress := ""
			if step.Lines != "" {
				progress = fmt.Sprintf(", %d %s", seen, step.Lines)
			}
			m.Store.Report("%s: %v%s", step.What, time.Since(started).Round(time.Second), progress)
		case <-check.C:
			if hanging = step.IdleTimeout > 0 && time.Since(heard) > step.IdleTimeout; hanging {
				cmd.Process.Kill()
				check.Stop()
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if hanging {
			tail = append(tail, fmt.Sprintf("error: timed out: no output for %v", step.IdleTimeout))
		}
		if len(tail) == 0 {
			tail = []string{"(it printed nothing)"}
		}
		return &failure{what: step.What, tail: tail, err: err}
	}
	return nil
}
