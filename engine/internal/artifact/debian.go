package artifact

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"pitwall/engine/internal/store"
)

// slimConfig makes dpkg leave out what the official slim images leave out.
var (
	slimFolders = []string{"doc", "groff", "info", "linda", "lintian", "locale", "man"}
	slimConfig  = "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n" +
		"path-exclude /usr/share/groff/*\npath-exclude /usr/share/info/*\npath-exclude /usr/share/linda/*\n" +
		"path-exclude /usr/share/lintian/*\npath-exclude /usr/share/locale/*\npath-exclude /usr/share/man/*\n"
)

// makeSlim removes documentation from a root filesystem.
func makeSlim(root string) error {
	for _, folder := range slimFolders {
		err := filepath.WalkDir(filepath.Join(root, "usr/share", folder), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || entry.Name() == "copyright" {
				if os.IsNotExist(err) {
					return nil
				}
				return err
			}
			return os.Remove(path)
		})
		if err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "etc/dpkg/dpkg.cfg.d/slim"), []byte(slimConfig), 0o644)
}

// debootstrap installs a Debian suite with packages into a folder.
func (m Maker) debootstrap(ctx context.Context, what, suite, arch string, packages []string, target string) error {
	tool, err := m.mmdebstrap(ctx)
	if err != nil {
		return err
	}
	m.Store.Report("making %s from Debian packages: about half a minute", what)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	err = m.Run(ctx, Step{What: "making " + what}, func() *exec.Cmd {
		os.RemoveAll(target)
		// mmdebstrap does not recognise our binfmt entry, so its check for foreign programs is skipped.
		args := []string{tool, "--mode=root", "--variant=minbase", "--skip=check/qemu", "--architectures=" + arch, "--include=" + strings.Join(packages, ",")}
		args = append(args, suite, target)
		args = append(args, sources(suite)...)
		cmd := exec.CommandContext(ctx, "perl", args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C", "TMPDIR="+filepath.Dir(target))
		// In its own mount namespace its mounts end with it.
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		return cmd
	})
	if err != nil {
		return err
	}
	return makeSlim(target)
}

// mmdebstrap returns the path of the machine's own script, or of the Debian package's.
func (m Maker) mmdebstrap(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("mmdebstrap"); err == nil {
		return path, nil
	}
	dir, err := m.debianPackage(ctx, "mmdebstrap")
	return filepath.Join(dir, "usr/bin/mmdebstrap"), err
}

// Emulator returns the path of a static QEMU for arm64 programs.
func (m Maker) Emulator(ctx context.Context) (string, error) {
	dir, err := m.debianPackage(ctx, "qemu-user-static")
	return filepath.Join(dir, "usr/bin/qemu-aarch64-static"), err
}

func packageKey(name string) func() (string, error) {
	return func() (string, error) { return store.Key(store.Text("package-1", name)) }
}

// debianPackage unpacks a package into the store. It installs nothing and does not
// use the machine's package lists, which may be stale.
func (m Maker) debianPackage(ctx context.Context, name string) (string, error) {
	key, err := packageKey(name)()
	if err != nil {
		return "", err
	}
	return m.Store.Ensure(ctx, name, key, func(ctx context.Context, dir string) error {
		apt := filepath.Join(dir, "apt")
		for _, made := range []string{"lists/partial", "cache/archives/partial"} {
			if err := os.MkdirAll(filepath.Join(apt, made), 0o755); err != nil {
				return err
			}
		}
		options := []string{
			"-o", "Dir::State::Lists=" + filepath.Join(apt, "lists"), "-o", "Dir::Cache=" + filepath.Join(apt, "cache"),
			"-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
		}
		for _, verb := range [][]string{{"update"}, {"download", name}} {
			err := m.Run(ctx, Step{What: "apt-get " + strings.Join(verb, " "), IdleTimeout: downloadIdleTimeout}, func() *exec.Cmd {
				cmd := exec.CommandContext(ctx, "apt-get", append(options, verb...)...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "LC_ALL=C")
				return cmd
			})
			if err != nil {
				return err
			}
		}
		packages, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
		if err != nil || len(packages) != 1 {
			return fmt.Errorf("apt-get download %s left %d packages: %w", name, len(packages), err)
		}
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", packages[0], dir).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w: %s", name, err, out)
		}
		return errors.Join(os.Remove(packages[0]), os.RemoveAll(apt))
	})
}

func mirrorInput(suite string) store.Input { return store.Text(sources(suite)...) }

var debianSuite = regexp.MustCompile(`^(bullseye|bookworm|trixie|forky|sid|stable|oldstable)(-updates|-security)?$`)

// sources returns the one-line sources of a suite on this machine's own mirrors.
// Without any, mmdebstrap uses its defaults. Addresses with a password are left
// out: everybody could read them in the image.
func sources(suite string) []string {
	var lines []string
	seen := map[string]bool{}
	for _, e := range machineSources("/etc/apt") {
		parts := debianSuite.FindStringSubmatch(e.suite)
		address, err := url.Parse(e.uri)
		if parts == nil || err != nil || address.User != nil {
			continue
		}
		line := fmt.Sprintf("deb %s %s%s main", e.uri, suite, parts[2])
		if !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	return lines
}

type source struct{ uri, suite string }

// machineSources reads apt's sources in both formats.
func machineSources(dir string) []source {
	var found []source
	files, _ := filepath.Glob(filepath.Join(dir, "sources.list.d", "*"))
	for _, file := range append([]string{filepath.Join(dir, "sources.list")}, files...) {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		switch filepath.Ext(file) {
		case ".sources":
			found = append(found, deb822(string(data))...)
		case ".list":
			found = append(found, oneLine(data)...)
		}
	}
	return found
}

func oneLine(data []byte) []source {
	var found []source
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		line := regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(scanner.Text(), "")
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "deb" {
			found = append(found, source{fields[1], fields[2]})
		}
	}
	return found
}

func deb822(text string) []source {
	var found []source
	for _, stanza := range regexp.MustCompile(`\n\s*\n`).Split(text, -1) {
		fields := map[string][]string{}
		for _, line := range strings.Split(stanza, "\n") {
			if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
				fields[name] = strings.Fields(value)
			}
		}
		for _, kind := range fields["Types"] {
			for _, uri := range fields["URIs"] {
				for _, suite := range fields["Suites"] {
					if kind == "deb" {
						found = append(found, source{uri, suite})
					}
				}
			}
		}
	}
	return found
}
