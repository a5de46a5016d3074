package lifecycle

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pitwall/engine/internal/binfmt"
	"pitwall/engine/internal/home"
	"pitwall/engine/internal/sandbox"
)

// A requirement of the local engine. check returns what was found; remedy tells
// how to meet it. The engine runs without an optional one, with a feature less.
type requirement struct {
	name     string
	remedy   string
	optional bool
	check    func(h home.Home) (found string, err error)
}

var requirements = []requirement{
	{"root", "run as root (sudo ./daggerw …), or use a container runtime: daggerw takes it when it answers", false,
		func(home.Home) (string, error) {
			if uid := os.Geteuid(); uid != 0 {
				return "", fmt.Errorf("this is user %d", uid)
			}
			return "yes", nil
		}},
	{"disk space", "free some, ./daggerw engine prune, or point PITWALL_HOME to another disk", false, freeSpace},
	{"namespaces and overlayfs", "a kernel (or an outer container) that allows root to make namespaces and overlay mounts", false,
		func(h home.Home) (string, error) {
			if os.Geteuid() != 0 {
				return "", fmt.Errorf("only root can check this")
			}
			if err := os.MkdirAll(h.Dir, 0o700); err != nil {
				return "", err
			}
			return "allowed", sandbox.Probe(h.Dir)
		}},
	{"/dev/net/tun", "modprobe tun", false, func(home.Home) (string, error) {
		_, err := os.Stat("/dev/net/tun")
		return "there", err
	}},
	{"apt-get, dpkg-deb, perl, tar", "Debian or Ubuntu with apt, dpkg and perl: base images are made from Debian packages", false,
		func(home.Home) (string, error) {
			for _, program := range []string{"apt-get", "dpkg-deb", "perl", "tar"} {
				if _, err := exec.LookPath(program); err != nil {
					return "", err
				}
			}
			return "there", nil
		}},
	{"Go", "install Go 1.21 or newer; it fetches the version it needs itself", false, func(home.Home) (string, error) {
		out, err := exec.Command("go", "version").Output()
		return strings.TrimSpace(strings.TrimPrefix(string(out), "go version ")), err
	}},
	{"arm64 programs", "a kernel with binfmt_misc: builds for linux/arm64 need it", true, func(home.Home) (string, error) {
		if binfmt.Runs("arm64") {
			return "run already", nil
		}
		data, err := os.ReadFile("/proc/filesystems")
		if err == nil && !strings.Contains(string(data), "binfmt_misc") {
			err = fmt.Errorf("no binfmt_misc in this kernel")
		}
		return "QEMU is added when first needed", err
	}},
}

func freeSpace(h home.Home) (string, error) {
	least := firstFreeGB
	if states, _ := filepath.Glob(filepath.Join(h.States(), "*")); len(states) > 0 {
		least = laterFreeGB
	}
	if text := os.Getenv("PITWALL_MIN_FREE_GB"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return "", fmt.Errorf("PITWALL_MIN_FREE_GB is %q: a whole number of gigabytes is allowed", text)
		}
		least = n
	}
	free, err := freeGB(h)
	if err != nil {
		return "", err
	}
	if free < least {
		return "", fmt.Errorf("%d GB are free at %s, %d GB are needed", free, h.Dir, least)
	}
	return fmt.Sprintf("%d GB free", free), nil
}

// freeGB is the free space of the home's disk, also before the home exists.
func freeGB(h home.Home) (int, error) {
	dir := h.Dir
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		dir = dir[:max(1, strings.LastIndex(dir, "/"))]
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return int(stat.Bavail * uint64(stat.Bsize) >> 30), nil
}

// unmet lists the requirements that keep the local engine from running, a line each.
func unmet(h home.Home) []string {
	var lines []string
	for _, n := range requirements {
		if n.optional {
			continue
		}
		if _, err := n.check(h); err != nil {
			lines = append(lines, fmt.Sprintf("  %s: %v\n    → %s", n.name, err, n.remedy))
			if n.name == "root" {
				break // the others would fail for the same reason
			}
		}
	}
	return lines
}

// Doctor writes the state of each requirement and returns whether the local
// engine can run.
func (m Manager) Doctor(out io.Writer) bool {
	fit := true
	for _, n := range requirements {
		found, err := n.check(m.Home)
		switch {
		case err == nil:
			fmt.Fprintf(out, "ok       %-28s %s\n", n.name, found)
		case n.optional:
			fmt.Fprintf(out, "without  %-28s %v\n         → %s\n", n.name, err, n.remedy)
		default:
			fit = false
			fmt.Fprintf(out, "MISSING  %-28s %v\n         → %s\n", n.name, err, n.remedy)
		}
	}
	if fit {
		fmt.Fprintln(out, "\nThe local engine can run here.")
	} else {
		fmt.Fprintln(out, "\nThe local engine cannot run here until the missing requirements are met.")
	}
	return fit
}
