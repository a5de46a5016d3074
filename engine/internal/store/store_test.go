package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newStore(t *testing.T) Store {
	return Store{Dir: t.TempDir(), Report: t.Logf}
}

func TestEnsureMakesOnceHoweverManyAsk(t *testing.T) {
	s := newStore(t)
	var made, waited atomic.Int32
	s.Report = func(format string, args ...any) { waited.Add(1) }
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			path, err := s.Ensure(context.Background(), "thing", "0123456789abcdef", func(_ context.Context, dir string) error {
				made.Add(1)
				for end := time.Now().Add(time.Minute); waited.Load() == 0 && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				return os.WriteFile(filepath.Join(dir, "file"), []byte("whole"), 0o644)
			})
			data, readErr := os.ReadFile(filepath.Join(path, "file"))
			if err != nil || readErr != nil || string(data) != "whole" {
				t.Errorf("got %q, %v, %v", data, err, readErr)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
	if waited.Load() == 0 {
		t.Error("waiting was not reported")
	}
}

func TestAFailedMakeLeavesNothingAndIsTriedAgain(t *testing.T) {
	s := newStore(t)
	broken := errors.New("broken")
	_, err := s.Ensure(context.Background(), "thing", "k", func(_ context.Context, dir string) error {
		os.WriteFile(filepath.Join(dir, "half"), nil, 0o644)
		return broken
	})
	if !errors.Is(err, broken) || s.Has("thing", "k") {
		t.Fatalf("err %v, has %v", err, s.Has("thing", "k"))
	}
	path, err := s.Ensure(context.Background(), "thing", "k", func(context.Context, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "half")); err == nil {
		t.Error("what the failed make left is in the artifact")
	}
}

// The process of this test that is killed while it makes something.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STORE_TEST_MAKE_FOREVER"); dir != "" {
		s := Store{Dir: dir, Report: func(string, ...any) {}}
		s.Ensure(context.Background(), "thing", "k", func(_ context.Context, dir string) error {
			os.WriteFile(filepath.Join(dir, "half"), nil, 0o644)
			fmt.Println("making")
			select {}
		})
	}
	os.Exit(m.Run())
}

func TestAMakeKilledHalfWayIsNeverServedAndTheNextOneGoesOn(t *testing.T) {
	s := newStore(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_MAKE_FOREVER="+s.Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if s.Has("thing", "k") {
		t.Fatal("the half-made artifact is served")
	}
	path, err := s.Ensure(context.Background(), "thing", "k", func(context.Context, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(path); len(entries) != 0 {
		t.Errorf("the artifact has %v of the killed make", entries)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := TryLock(path)
	if err != nil || held == nil {
		t.Fatal(held, err)
	}
	defer held.Close()
	if second, err := TryLock(path); second != nil || err != nil {
		t.Errorf("a second lock: %v, %v", second, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path, func() {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestKeyDependsOnContentsNamesAndModesButNotOnPlaceOrTime(t *testing.T) {
	tree := func(files map[string]string, mode os.FileMode) string {
		dir := t.TempDir()
		for name, text := range files {
			os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
			os.WriteFile(filepath.Join(dir, name), []byte(text), mode)
		}
		os.Chtimes(filepath.Join(dir, "a"), time.Time{}, time.Now().Add(time.Duration(len(dir))*time.Hour))
		key, err := Key(Tree(dir, "skipped"))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	base := tree(map[string]string{"a": "1", "b/c": "2"}, 0o644)
	for name, same := range map[string]string{
		"another place":  tree(map[string]string{"a": "1", "b/c": "2"}, 0o644),
		"a skipped file": tree(map[string]string{"a": "1", "b/c": "2", "skipped/d": "3"}, 0o644),
	} {
		if same != base {
			t.Errorf("%s changes the key", name)
		}
	}
	for name, other := range map[string]string{
		"a content": tree(map[string]string{"a": "x", "b/c": "2"}, 0o644),
		"a name":    tree(map[string]string{"z": "1", "b/c": "2"}, 0o644),
		"a mode":    tree(map[string]string{"a": "1", "b/c": "2"}, 0o755),
		"one more":  tree(map[string]string{"a": "1", "b/c": "2", "d": ""}, 0o644),
	} {
		if other == base {
			t.Errorf("%s leaves the key as it was", name)
		}
	}
	if _, err := Key(Tree(filepath.Join(t.TempDir(), "none"))); err == nil {
		t.Error("a missing folder has a key")
	}
}
