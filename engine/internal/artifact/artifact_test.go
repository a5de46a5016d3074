package artifact

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pitwall/engine/internal/home"
	"pitwall/engine/internal/store"
)

func TestSourcesAreReadInBothFormats(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "sources.list.d"), 0o755)
	os.WriteFile(filepath.Join(dir, "sources.list"), []byte(`# a comment
deb [signed-by=/a/key.gpg arch=amd64] http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
`), 0o644)
	os.WriteFile(filepath.Join(dir, "sources.list.d", "debian.sources"), []byte(`Types: deb deb-src
# a comment
URIs: http://one.example/debian http://two.example/debian
Suites: trixie trixie-updates
Components: main

Types: deb
URIs: http://one.example/security
Suites: trixie-security
`), 0o644)
	got := machineSources(dir)
	want := []source{
		{"http://mirror.example/debian", "bookworm"},
		{"http://one.example/debian", "trixie"}, {"http://one.example/debian", "trixie-updates"},
		{"http://two.example/debian", "trixie"}, {"http://two.example/debian", "trixie-updates"},
		{"http://one.example/security", "trixie-security"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if none := machineSources(filepath.Join(dir, "none")); len(none) != 0 {
		t.Errorf("a machine without apt has sources: %v", none)
	}
}

func maker(t *testing.T, report func(string, ...any)) Maker {
	dir := t.TempDir()
	h := home.Home{Dir: dir, Store: filepath.Join(dir, "store"), Key: strings.Repeat("k", 64), Version: "v0.0.0"}
	return Maker{Home: h, Store: store.Store{Dir: h.Store, Report: report}}
}

func recipe(t *testing.T, m Maker, image string, files map[string]string) {
	for name, text := range files {
		path := filepath.Join(m.recipe(image), name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnImagesKeyFollowsItsFilesAndItsBaseImages(t *testing.T) {
	m := maker(t, t.Logf)
	key := func(image, arch string) string {
		k, err := m.ImageKey(image, arch)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	recipe(t, m, "base:1", map[string]string{"Dockerfile": "FROM debian:bookworm-slim\n"})
	recipe(t, m, "org/app:2", map[string]string{
		"Dockerfile": "FROM base:1 AS build\nRUN true\nfrom --platform=linux/amd64 debian:trixie-slim\nCOPY --from=build /a /a\n", "file": "1",
	})
	before, base := key("org/app:2", "amd64"), key("base:1", "amd64")
	if key("org/app:2", "arm64") == before {
		t.Error("both architectures have the same key")
	}
	recipe(t, m, "org/app:2", map[string]string{"file": "2"})
	changed := key("org/app:2", "amd64")
	if changed == before || key("base:1", "amd64") != base {
		t.Error("a changed file has to change the key of its image alone")
	}
	recipe(t, m, "base:1", map[string]string{"Dockerfile": "FROM debian:bookworm-slim\nRUN true\n"})
	if key("org/app:2", "amd64") == changed {
		t.Error("a changed base image leaves the key as it was")
	}
	if _, err := m.ImageKey("unknown:1", "amd64"); !errors.Is(err, ErrNoRecipe) {
		t.Errorf("an unknown image: %v", err)
	}
	recipe(t, m, "orphan:1", map[string]string{"Dockerfile": "FROM unknown:1\n"})
	if _, err := m.ImageKey("orphan:1", "amd64"); err == nil || !strings.Contains(err.Error(), "orphan:1 is FROM unknown:1") {
		t.Errorf("an image with an unknown base: %v", err)
	}
	images, err := m.Images()
	if want := []string{"base:1", "debian:bookworm-slim", "debian:trixie-slim", "org/app:2", "orphan:1"}; err != nil || !slices.Equal(slices.Sorted(slices.Values(images)), want) {
		t.Errorf("images %v, %v", images, err)
	}
}

func TestAFalteringRegistryIsTriedAgainAndThenThePackageIsNamed(t *testing.T) {
	var reported []string
	m := maker(t, func(format string, args ...any) { reported = append(reported, format) })
	tries := filepath.Join(t.TempDir(), "tries")
	script := func(text string) func() *exec.Cmd {
		return func() *exec.Cmd { return exec.Command("sh", "-c", "echo x >> "+tries+"; "+text) }
	}
	count := func() int {
		data, _ := os.ReadFile(tries)
		os.Remove(tries)
		return strings.Count(string(data), "x")
	}
	if err := m.Run(context.Background(), Step{What: "fetching"}, script("[ $(wc -l < "+tries+") -ge 2 ] || { echo 'Err: 503 Service Unavailable'; false; }")); err != nil {
		t.Errorf("a registry that falters once: %v", err)
	}
	if n := count(); n != 2 || len(reported) != 1 {
		t.Errorf("%d tries, reported %q", n, reported)
	}
	err := m.Run(context.Background(), Step{What: "fetching"}, script("echo noise; echo 'go: example.com/a@v1: reading: 403 Forbidden'; echo noise; exit 1"))
	if err == nil || !strings.Contains(err.Error(), "example.com/a@v1") || strings.Contains(err.Error(), "noise") {
		t.Errorf("a refusal has to name the package alone: %v", err)
	}
	if n := count(); n != 1 {
		t.Errorf("a refusal was tried %d times", n)
	}
	err = m.once(context.Background(), Step{What: "fetching", IdleTimeout: time.Second}, script("echo 'get example.com/b'; exec sleep 30")())
	var failed *failure
	if !errors.As(err, &failed) || !failed.retryable() || !strings.Contains(err.Error(), "timed out: no output for 1s") {
		t.Errorf("a registry that hangs: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Run(ctx, Step{What: "fetching"}, script("sleep 30")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPatchesFitOrSayWhatTheyMiss(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.go")
	os.WriteFile(path, []byte("x(1)\nx(1)\n"), 0o644)
	p := patch{Module: "m", File: "a.go", Replace: [][2]string{{"x(1)", "x(2)"}, {"x(1)", "x(3)"}}}
	if err := p.apply(dir); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "x(2)\nx(3)\n" {
		t.Errorf("patched to %q", data)
	}
	if err := p.apply(dir); err == nil || !strings.Contains(err.Error(), `a.go of m has no "x(1)"`) {
		t.Errorf("a patch that does not fit: %v", err)
	}
}

func TestThePinAndTheEnginesModulesAreHeldTogether(t *testing.T) {
	m := maker(t, t.Logf)
	m.Home.Version = "v0.21.8"
	for text, want := range map[string]string{
		"require github.com/dagger/dagger v0.21.8\n":                     "",
		"require (\n\tgithub.com/dagger/dagger v0.21.8 // indirect\n)\n": "",
		"require github.com/dagger/dagger v0.21.80\n":                    "another version, v0.21.80",
		"module engine\n": "another version, none",
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644)
		err := m.checkVersion(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	repository, err := os.ReadFile("../../dagger/go.mod")
	if err != nil || !engineModule.Match(repository) {
		t.Errorf("the engine's own go.mod is not understood: %v", err)
	}
}

func TestBuildsCannotChangeWhatIsPinned(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod")
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example\n\ngo 1.26\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nimport \"golang.org/x/sys/unix\"\n\nfunc main() { unix.Getpid() }\n"), 0o644)
	out, err := maker(t, t.Logf).goCommand(t.Context(), dir, nil, "build", ".").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "import lookup disabled by -mod=readonly") {
		t.Errorf("a build with a missing requirement: %v, %s", err, out)
	}
}

// programRecipe makes a recipe with a program that was never compiled before, and gives its folder.
func programRecipe(t *testing.T, m Maker, image string) string {
	if cache, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil {
		os.MkdirAll(filepath.Dir(m.Home.GoCache()), 0o755)
		os.Symlink(strings.TrimSpace(string(cache)), m.Home.GoCache()) // the standard library is compiled there
	}
	recipe(t, m, image, map[string]string{
		"Dockerfile":   "FROM scratch\n",
		"go.mod":       "module example\n\ngo 1.26\n\ntool example/cmd\n",
		"part/part.go": "package part\n\nconst Part = " + fmt.Sprint(time.Now().UnixNano()) + "\n",
		"cmd/main.go":  "package main\n\nimport \"example/part\"\n\nfunc main() { println(part.Part) }\n",
	})
	return m.recipe(image)
}

// compiles lists the packages that a build still has to compile.
func compiles(t *testing.T, m Maker, folder string) string {
	out, err := m.goCommand(t.Context(), folder, nil, "build", "-v", "-trimpath", "-o", t.TempDir()+"/", "tool").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestEarlyCompileLeavesNothingToCompile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // an engine that was killed leaves its folder in the shared one
	m := maker(t, t.Logf)
	folder := programRecipe(t, m, "team/tool:1")
	other := programRecipe(t, m, "team/other:1")
	early := m.StartEarly(t.Context(), []string{"team/tool"}, func(err error) { t.Error(err) })
	<-early.done
	if left := compiles(t, m, folder); left != "" {
		t.Errorf("left to compile: %s", left)
	}
	if left := compiles(t, m, other); !strings.Contains(left, "example/part") {
		t.Errorf("an image that is not early was compiled: %s", left)
	}
	if matches, _ := filepath.Glob(filepath.Join(os.TempDir(), "pitwall-early-*")); len(matches) > 0 {
		t.Errorf("left behind: %v", matches)
	}
}

func TestEarlyCompileSkipsAnImageThatIsMade(t *testing.T) {
	m := maker(t, t.Logf)
	folder := programRecipe(t, m, "team/tool:1")
	key, err := m.ImageKey("team/tool:1", runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(m.Store.Path("image", key), 0o755)
	<-m.StartEarly(t.Context(), []string{"team/tool"}, func(err error) { t.Error(err) }).done
	if left := compiles(t, m, folder); !strings.Contains(left, "example/part") {
		t.Errorf("it compiled an image that is there")
	}
}

func TestEarlyCompileReportsAndStops(t *testing.T) {
	m := maker(t, t.Logf)
	recipe(t, m, "team/tool:1", map[string]string{"Dockerfile": "FROM scratch\n", "go.mod": "module example\n\ngo 1.26\n\ntool example/none\n"})
	var reported error
	<-m.StartEarly(t.Context(), []string{"team/tool"}, func(err error) { reported = err }).done
	if reported == nil || !strings.Contains(reported.Error(), "example/none") {
		t.Errorf("reported %v", reported)
	}
	stopped := m.StartEarly(t.Context(), []string{"team/tool"}, func(err error) { t.Errorf("a stop is no error: %v", err) })
	stopped.Stop()
}

func TestEveryEarlyImageHasARecipe(t *testing.T) {
	for _, repository := range Early {
		if found, _ := filepath.Glob(filepath.Join("../../images", repository, "*", "go.mod")); len(found) == 0 {
			t.Errorf("%s has no recipe with Go programs", repository)
		}
	}
}
