// Package registry is the container registry of a local engine. It stores
// pushed images and makes a base image when it is first pulled.
package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PlatformHeader names the platform that the engine wants an image for.
const PlatformHeader = "X-Pitwall-Platform"

// ImageMaker makes missing images.
type ImageMaker interface {
	// Manifest returns the manifest of an image such as node:24-bookworm-slim and
	// makes the image if it is missing; nil if there is no recipe for it.
	Manifest(ctx context.Context, image, arch string) ([]byte, error)
}

type server struct {
	ctx    context.Context
	dir    string
	images ImageMaker
	blobs  http.Handler
}

// New serves the distribution API over dir (manifests) and blobs (content).
// Images are made under ctx, so a disconnecting client does not stop the work.
func New(ctx context.Context, dir, blobs string, images ImageMaker) (http.Handler, error) {
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return nil, err
	}
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	return &server{
		ctx: ctx, dir: dir, images: images,
		blobs: registry.New(quiet, registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs))),
	}, nil
}

var manifestURL = regexp.MustCompile(`^/v2/([a-z0-9][a-z0-9._/-]*)/manifests/([A-Za-z0-9_][A-Za-z0-9._:-]*)$`)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := manifestURL.FindStringSubmatch(r.URL.Path)
	if parts == nil || strings.Contains(parts[1], "..") {
		s.blobs.ServeHTTP(w, r)
		return
	}
	repository, reference := parts[1], parts[2]
	switch r.Method {
	case http.MethodPut:
		s.put(w, r, repository, reference)
	case http.MethodGet, http.MethodHead:
		s.get(w, r, repository, reference)
	default:
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", r.Method)
	}
}

func (s *server) path(repository, reference string) string {
	return ManifestPath(s.dir, repository, reference)
}

// ManifestPath is the path of a manifest in a registry's folder. The reference is
// a tag or a digest.
func ManifestPath(dir, repository, reference string) string {
	return filepath.Join(dir, filepath.FromSlash(repository), "_manifests", strings.ReplaceAll(reference, ":", "-"))
}

func (s *server) get(w http.ResponseWriter, r *http.Request, repository, reference string) {
	manifest, err := os.ReadFile(s.path(repository, reference))
	if errors.Is(err, os.ErrNotExist) && !strings.HasPrefix(reference, "sha256:") {
		manifest, err = s.images.Manifest(s.ctx, strings.TrimPrefix(repository, "library/")+":"+reference, arch(r))
		if err == nil && manifest != nil {
			// The engine asks next for the same manifest by its digest.
			err = s.write(repository, digestOf(manifest), manifest)
		}
	}
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		fail(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
	case manifest == nil:
		fail(w, http.StatusNotFound, "MANIFEST_UNKNOWN", repository+":"+reference)
	default:
		w.Header().Set("Content-Type", mediaType(manifest))
		w.Header().Set("Docker-Content-Digest", digestOf(manifest))
		w.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
		if r.Method == http.MethodGet {
			w.Write(manifest)
		}
	}
}

func (s *server) put(w http.ResponseWriter, r *http.Request, repository, reference string) {
	manifest, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		fail(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return
	}
	digest := digestOf(manifest)
	for _, name := range []string{digest, reference} {
		if err := s.write(repository, name, manifest); err != nil {
			fail(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
			return
		}
	}
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

func (s *server) write(repository, reference string, manifest []byte) error {
	to := s.path(repository, reference)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(to), ".put-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err := temp.Write(manifest); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), to)
}

func arch(r *http.Request) string {
	if platform := strings.Split(r.Header.Get(PlatformHeader), "/"); len(platform) > 1 {
		return platform[1]
	}
	return runtime.GOARCH
}

func digestOf(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func mediaType(manifest []byte) string {
	var head struct {
		MediaType string          `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(manifest, &head); err == nil && head.MediaType != "" {
		return head.MediaType
	}
	if head.Manifests != nil {
		return string(types.OCIImageIndex)
	}
	return string(types.OCIManifestSchema1)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}
