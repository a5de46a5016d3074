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
)

const (
	attempts     = 4
	tailLines    = 15
	beatInterval = 15 * time.Second
)

// What registries and networks say when a second try may succeed.
var passing = regexp.MustCompile(`(?i)timed? ?out|temporary failure|connection (reset|refused|failed)|could not connect|TLS handshake|unexpected EOF|no route to host|\b(429|500|502|503|504)\b|hash sum mismatch|stream error|network is unreachable`)

// What in a tool's output names the thing that could not be had.
var culprit = regexp.MustCompile(`(?i)^(E: |W: Failed|Err:|go: |ERROR: |npm ERR|npm error|error: )|failed to fetch|reading http|no matching distribution`)

// failure is a tool that did not do its work: what it was about, and its last words.
type failure struct {
	what string
	tail []string
	err  error
}

func (f *failure) Error() string {
	named := []string{}
	for _, line := range f.tail {
		if culprit.MatchString(line) {
			named = append(named, line)
		}
	}
	if len(named) == 0 {
		named = f.tail
	}
	return fmt.Sprintf("%s: %v\n  %s", f.what, f.err, strings.Join(named, "\n  "))
}

func (f *failure) Unwrap() error { return f.err }

// again says whether the failure looks like one that passes.
func (f *failure) again() bool { return passing.MatchString(strings.Join(f.tail, "\n")) }

// Run runs a command for the artifact named what, saying every so often how far
// it is. Where the network or a registry faltered it tries again, with growing
// pauses; in the end it throws with the tool's own words about what is missing.
func (m Maker) Run(ctx context.Context, what string, count string, cmd func() *exec.Cmd) error {
	pause := 2 * time.Second
	for attempt := 1; ; attempt++ {
		err := m.once(ctx, what, count, cmd())
		var failed *failure
		if err == nil || !errors.As(err, &failed) || !failed.again() || attempt == attempts {
			return err
		}
		m.Store.Say("%s: the network or a registry faltered, trying again in %v (%d of %d): %s",
			what, pause, attempt+1, attempts, failed.tail[len(failed.tail)-1])
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (m Maker) once(ctx context.Context, what, count string, cmd *exec.Cmd) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
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

	started, seen := time.Now(), 0
	var tail []string
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	for open := true; open; {
		select {
		case line, ok := <-lines:
			if open = ok; !ok || strings.TrimSpace(line) == "" {
				continue
			}
			seen++
			if tail = append(tail, line); len(tail) > tailLines {
				tail = tail[1:]
			}
		case <-beat.C:
			progress := ""
			if count != "" {
				progress = fmt.Sprintf(", %d %s", seen, count)
			}
			m.Store.Say("%s: %v%s", what, time.Since(started).Round(time.Second), progress)
		}
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(tail) == 0 {
			tail = []string{"(it printed nothing)"}
		}
		return &failure{what: what, tail: tail, err: err}
	}
	return nil
}
