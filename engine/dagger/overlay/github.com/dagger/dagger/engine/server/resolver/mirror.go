package resolver

import (
	"context"
	"slices"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// madeByMirror returns the reference without its digest where a mirror makes an
// image of its own under that tag: the local registry cannot have the pinned one.
// Any other reference is returned as it is.
func (r *Resolver) madeByMirror(ctx context.Context, ref string, network NetworkConfig, platform *ocispecs.Platform) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref, nil // the resolver reports it
	}
	tagged, isTagged := named.(reference.Tagged)
	if _, pinned := named.(reference.Digested); !pinned || !isTagged {
		return ref, nil
	}
	domain := reference.Domain(named)
	hosts, err := r.registryHosts(network)(domain)
	if err != nil {
		return "", err
	}
	upstream, err := docker.DefaultHost(domain)
	if err != nil {
		return "", err
	}
	mirrors := slices.DeleteFunc(hosts, func(host docker.RegistryHost) bool { return host.Host == upstream })
	if len(mirrors) == 0 {
		return ref, nil
	}
	resolver := docker.NewResolver(docker.ResolverOptions{
		Hosts:   func(string) ([]docker.RegistryHost, error) { return mirrors, nil },
		Headers: platformHeader(platform),
	})
	if _, _, err := resolver.Resolve(ctx, ref); err == nil {
		return ref, nil // the mirror has exactly this image
	}
	tag, err := reference.WithTag(reference.TrimNamed(named), tagged.Tag())
	if err != nil {
		return "", err
	}
	_, _, err = resolver.Resolve(ctx, tag.String())
	if cerrdefs.IsNotFound(err) {
		return ref, nil // an image that the mirror does not make
	}
	return tag.String(), err
}
