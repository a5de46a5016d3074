package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

type fakeImages func(image, arch string) ([]byte, error)

func (f fakeImages) Manifest(_ context.Context, image, arch string) ([]byte, error) {
	return f(image, arch)
}

var noRecipes = fakeImages(func(string, string) ([]byte, error) { return nil, nil })

func serve(t *testing.T, dir string, images ImageMaker) string {
	handler, err := New(context.Background(), filepath.Join(dir, "manifests"), filepath.Join(dir, "blobs"), images)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func reference(t *testing.T, text string) name.Reference {
	ref, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestWhatIsPushedIsPulledAlsoAfterARestart(t *testing.T) {
	dir := t.TempDir()
	image, err := random.Image(1024, 3)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}},
	})
	first := serve(t, dir, noRecipes)
	if err := remote.Write(reference(t, first+"/team/app:1"), image); err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(reference(t, first+"/team/app:all"), index); err != nil {
		t.Fatal(err)
	}
	again := serve(t, dir, noRecipes)
	pulled, err := remote.Image(reference(t, again+"/team/app:1"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := image.Digest()
	if got, err := pulled.Digest(); got != want || err != nil {
		t.Errorf("pulled %v, %v; pushed %v", got, err, want)
	}
	layers, err := pulled.Layers()
	if err != nil || len(layers) != 3 {
		t.Fatal(len(layers), err)
	}
	for _, layer := range layers {
		data, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, data); err != nil {
			t.Error(err)
		}
	}
	pulledIndex, err := remote.Index(reference(t, again+"/team/app:all"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := pulledIndex.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Errorf("index %v, %v", manifest, err)
	}
}

func get(t *testing.T, url, platform string) (int, string, http.Header) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(PlatformHeader, platform)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

func TestAnImageIsMadeForThePlatformThatIsAskedFor(t *testing.T) {
	var asked atomic.Value
	host := "http://" + serve(t, t.TempDir(), fakeImages(func(image, arch string) ([]byte, error) {
		asked.Store(image + " " + arch)
		return []byte(`{"layers":[],"arch":"` + arch + `"}`), nil
	}))
	for platform, arch := range map[string]string{"linux/arm64": "arm64", "linux/amd64": "amd64", "linux/arm64/v8": "arm64"} {
		status, body, header := get(t, host+"/v2/library/node/manifests/24", platform)
		if status != 200 || !strings.Contains(body, arch) || asked.Load() != "node:24 "+arch {
			t.Errorf("%s: %d %s, asked for %v", platform, status, body, asked.Load())
		}
		// The engine's next request is for the digest, without asking for anything to be made.
		asked.Store("")
		status, again, _ := get(t, host+"/v2/library/node/manifests/"+header.Get("Docker-Content-Digest"), platform)
		if status != 200 || again != body || asked.Load() != "" {
			t.Errorf("by digest: %d %s, asked for %v", status, again, asked.Load())
		}
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	host := "http://" + serve(t, t.TempDir(), fakeImages(func(image, _ string) ([]byte, error) {
		if image == "broken:1" {
			return nil, errors.New("no such package")
		}
		return nil, nil
	}))
	for path, want := range map[string]int{
		"/v2/":                            200,
		"/v2/library/unknown/manifests/1": 404,
		"/v2/library/broken/manifests/1":  500,
		"/v2/library/a/manifests/sha256:0000000000000000000000000000000000000000000000000000000000000000": 404,
	} {
		if status, body, _ := get(t, host+path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestAPathDoesNotLeadOutOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "_manifests"), 0o755)
	os.WriteFile(filepath.Join(dir, "_manifests", "secret"), []byte("{}"), 0o644)
	handler, err := New(context.Background(), filepath.Join(dir, "manifests"), filepath.Join(dir, "blobs"), noRecipes)
	if err != nil {
		t.Fatal(err)
	}
	response := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.URL.Path = "/v2/a/../../manifests/secret"
	handler.ServeHTTP(response, request)
	if response.Code == 200 {
		t.Errorf("%d %s", response.Code, response.Body)
	}
}

func TestSweepKeepsWhatAManifestNamesAndWhatIsNew(t *testing.T) {
	dir := t.TempDir()
	blobs, manifests := filepath.Join(dir, "blobs"), filepath.Join(dir, "manifests")
	put := func(path, text string, age time.Duration) string {
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte(text), 0o644)
		os.Chtimes(path, time.Time{}, time.Now().Add(-age))
		return path
	}
	layer := put(filepath.Join(blobs, "sha256", "aa"), "", 48*time.Hour)
	config := put(filepath.Join(blobs, "sha256", "bb"), "", 48*time.Hour)
	old := put(filepath.Join(blobs, "sha256", "cc"), "", 48*time.Hour)
	abandoned := put(filepath.Join(blobs, "upload-1"), "", 48*time.Hour)
	fresh := put(filepath.Join(blobs, "sha256", "dd"), "", time.Minute)
	// A clock that was set back makes files of the future: they are not old.
	future := put(filepath.Join(blobs, "sha256", "ee"), "", -48*time.Hour)
	put(filepath.Join(manifests, "app", "_manifests", "1"), `{"config":{"digest":"sha256:bb"},"layers":[{"digest":"sha256:aa"}]}`, 0)
	if err := Sweep(blobs, manifests, filepath.Join(dir, "none")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{layer: true, config: true, fresh: true, future: true, old: false, abandoned: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v", filepath.Base(path), err == nil)
		}
	}
}
