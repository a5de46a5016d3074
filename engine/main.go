// Command pitwall-engine manages the local Dagger engine. It is built and run by
// daggerw, which says how.
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

const usage = `./daggerw engine manages the local engine, which stands in where no container runtime answers.

  status [--json]      is it running, where, what it takes
  start                start it (any ./daggerw call does so by itself)
  stop                 stop it; nothing of it remains but its cache
  logs [-n N] [-f]     what it said; the last N lines (200), and on
  prune [--all]        remove what the present version does not use; --all: everything
  doctor               what this machine has and lacks for it
  pin                  confirm or add the checksums of the official CLI in dagger.sums

Everything is in $PITWALL_HOME (~/.cache/pitwall); removing it with prune --all removes it all.
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, "pitwall: "+err.Error())
		}
		os.Exit(1)
	}
}

// errSaid ends with exit code 1 where everything has been said.
var errSaid = errors.New("")

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
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "pitwall: "+format+"\n", args...) }
	m := lifecycle.Manager{Home: h, Say: say}
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
		cancel() // it has signals of its own
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
		return errSaid
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
			say("the engine runs (Dagger %s, process %d)", i.Version, i.Pid)
		}
		return err
	case "stop":
		if err := m.Stop(); err != nil {
			return err
		}
		say("the engine is stopped")
		return nil
	case "logs":
		return m.Logs(os.Stdout, *lines, *follow)
	case "prune":
		freed, err := m.Prune(*all)
		say("%.1f GB freed", float64(freed)/(1<<30))
		return err
	case "doctor":
		if !m.Doctor(os.Stdout) {
			return errSaid
		}
		return nil
	}
	return fmt.Errorf("engine %s is not known\n%s", command, usage)
}
