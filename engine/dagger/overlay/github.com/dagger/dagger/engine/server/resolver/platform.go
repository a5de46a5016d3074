package resolver

import (
	"net/http"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// platformHeader tells the local registry for which platform a tag is resolved,
// so that it makes that variant of an image and no other.
func platformHeader(platform *ocispecs.Platform) http.Header {
	if platform == nil {
		return nil
	}
	return http.Header{"X-Pitwall-Platform": {platforms.Format(platforms.Normalize(*platform))}}
}
