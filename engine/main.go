// Command pitwall-engine manages the local Dagger engine. daggerw builds and
// runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"pitwall/engine/internal/home"
	"pitwall/engine/internal/lifecycle"
	"pitwall/engine/internal/sandbox"
)

// key is the digest of the engine/ folder that this program was built from.
var key string

const usage = `./daggerw engine manages the local engine, which daggerw uses when no container runtime answers.

  status [--json]      whether it runs, its socket, the disk space that it uses
  start                start it (any ./daggerw call does so by itself)
  stop                 stop it; only its cache remains
  logs [-n N] [-f]     its log: the last N lines (200); -f follows
  prune [--all]        remove what the current version does not use; --all: everything
  doctor               whether this machine meets the requirements
  image FILE           write the engine as a container image, for docker load or podman load
  pin                  confirm or add the checksums of the official CLI in dagger.sums

All its files are in $PITWALL_HOME (~/.cache/pitwall); prune --all removes them.
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "pitwall: "+err.Error())
		}
		os.Exit(1)
	}
}

// errReported ends the program with exit code 1 when the error is printed already.
var errReported = errors.New("")

func run(args []string) error {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, args := args[0], args[1:]
	switch command {
	case sandbox.InitCommand:
		return sandbox.RunInit()
	case sandbox.NetworkCommand:
		return sandbox.RunNetwork()
	case sandbox.ProbeCommand:
		return sandbox.RunProbe(args[0])
	case "--help", "-h", "help":
		fmt.Print(usage)
		return nil
	}
	h, err := home.FromEnv(key)
	if err != nil {
		return err
	}
	report := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "pitwall: "+format+"\n", args...) }
	m := lifecycle.Manager{Home: h, Report: report}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	switch command {
	case "exec":
		if len(args) > 0 && args[0] == "--" {
			args = args[1:]
		}
		return m.Exec(ctx, args)
	case "cli":
		path, err := m.CLI(ctx)
		if err == nil {
			fmt.Println(path)
		}
		return err
	case lifecycle.SuperviseCommand:
		cancel() // Supervise handles signals itself
		return m.Supervise(args[0])
	case lifecycle.FollowCommand:
		return lifecycle.Follow(h)
	}
	flags := flag.NewFlagSet("engine "+command, flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	asJSON := flags.Bool("json", false, "")
	lines := flags.Int("n", 200, "")
	follow := flags.Bool("f", false, "")
	all := flags.Bool("all", false, "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return errReported
	}
	if command == "image" {
		if flags.NArg() != 1 {
			return fmt.Errorf("engine image takes the name of the file to write\n%s", usage)
		}
		image, err := m.EngineImage(ctx, flags.Arg(0))
		if err == nil {
			report("%s is the image %s, built here: docker load -i %[1]s", flags.Arg(0), image)
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("engine %s takes no %q\n%s", command, strings.Join(flags.Args(), " "), usage)
	}
	switch command {
	case "status":
		return m.Status(os.Stdout, *asJSON)
	case "start":
		i, err := m.Start(ctx)
		if err == nil {
			report("the engine runs (Dagger %s, process %d)", i.Version, i.Pid)
		}
		return err
	case "stop":
		if err := m.Stop(); err != nil {
			return err
		}
		report("the engine is stopped")
		return nil
	case "logs":
		return m.Logs(os.Stdout, *lines, *follow)
	case "prune":
		freed, err := m.Prune(*all)
		report("%.1f GB freed", float64(freed)/(1<<30))
		return err
	case "doctor":
		if !m.Doctor(os.Stdout) {
			return errReported
		}
		return nil
	}
	return fmt.Errorf("engine %s is not known\n%s", command, usage)
}
