package registry

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// manifestTypes are the media types of all that a launch holds.
var manifestTypes = []string{"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json"}

// HasTag asks for a tag's digest with one HEAD.
func (r *Registry) HasTag(ctx context.Context, tag, digest string) (bool, error) {
	if err := r.Connect(ctx); err != nil {
		return false, r.WhyNot(ctx, err, "look for "+tag)
	}
	repository, identifier, err := r.Split(tag)
	if err != nil {
		return false, err
	}
	found, err := r.Resolve(ctx, repository, identifier)
	if err != nil {
		return false, r.WhyNot(ctx, err, "look for "+tag)
	}
	return found == digest, nil
}

// Resolve returns the digest of a tag, "" when there is none.
func (r *Registry) Resolve(ctx context.Context, repository, tag string) (string, error) {
	path := "/v2/" + repository + "/manifests/" + tag
	header := http.Header{"Accept": manifestTypes}
	response, err := r.send(ctx, exchange{method: http.MethodHead, url: path, repository: repository, header: header})
	if err != nil {
		return "", err
	}
	connection.Drain(response)
	switch digest := response.Header.Get("Docker-Content-Digest"); {
	case response.StatusCode == http.StatusOK && digest != "":
		return digest, nil
	case response.StatusCode == http.StatusNotFound, response.StatusCode == http.StatusForbidden:
		return "", nil // some registries forbid what they do not have
	case response.StatusCode != http.StatusOK:
		return "", newRefusal(response)
	}
	response, err = r.send(ctx, exchange{method: http.MethodGet, url: path, repository: repository, header: header})
	if err != nil {
		return "", err
	}
	defer connection.Drain(response)
	data, err := bundle.ReadManifest(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return "", err
	}
	return bundle.Digest(data), nil
}

// PutManifest puts one manifest under a tag or its digest, and makes sure that
// it is stored as it is.
func (r *Registry) PutManifest(ctx context.Context, repository, reference, mediaType string, data []byte) error {
	response, err := r.send(ctx, exchange{method: http.MethodPut, url: "/v2/" + repository + "/manifests/" + reference, repository: repository,
		header: http.Header{"Content-Type": {mediaType}}, body: bodyOf(data)})
	if err != nil {
		return err
	}
	defer connection.Drain(response)
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusAccepted {
		return refuse(response)
	}
	digest := bundle.Digest(data)
	if got := response.Header.Get("Docker-Content-Digest"); got != "" && got != digest {
		return fault.Damaged(fault.Errorf(fault.CodeIntegrity, "the registry stored %s as %s: it changes what is pushed to it, and pods could not find it", digest, got))
	}
	return nil
}

// Pullable asks for an image as a node does. One that is not there yet is no
// error.
func (r *Registry) Pullable(ctx context.Context, image string) error {
	repository, digest, err := r.Split(image)
	if err != nil {
		return err
	}
	response, err := r.send(ctx, exchange{method: http.MethodGet, url: "/v2/" + repository + "/manifests/" + digest, repository: repository, pull: true,
		header: http.Header{"Accept": manifestTypes}})
	if err != nil {
		return err
	}
	defer connection.Drain(response)
	if response.StatusCode == http.StatusUnauthorized {
		return newRefusal(response)
	}
	return nil
}

// Delete deletes a manifest; the registry frees its blobs in its own time.
func (r *Registry) Delete(ctx context.Context, image string) error {
	status, err := r.manifest(ctx, http.MethodDelete, image)
	switch {
	case err != nil:
		return r.WhyNot(ctx, err, "delete "+image)
	case status == http.StatusMethodNotAllowed:
		return fault.Errorf(fault.CodeFailed, "the satellite is off the cluster, and the registry %s does not allow to delete images: delete %s by its own means", r.host, image)
	}
	return nil
}

// HasManifest asks for a manifest by its digest.
func (r *Registry) HasManifest(ctx context.Context, image string) (bool, error) {
	status, err := r.manifest(ctx, http.MethodHead, image)
	if err != nil {
		return false, r.WhyNot(ctx, err, "look for "+image)
	}
	return status == http.StatusOK, nil
}

// manifest sends one request about a manifest. That it is not there, or cannot
// be deleted, is an answer and no error.
func (r *Registry) manifest(ctx context.Context, method, image string) (status int, err error) {
	if err := r.Connect(ctx); err != nil {
		return 0, err
	}
	repository, digest, err := r.Split(image)
	if err != nil {
		return 0, err
	}
	response, err := r.send(ctx, exchange{method: method, url: "/v2/" + repository + "/manifests/" + digest, repository: repository,
		header: http.Header{"Accept": manifestTypes}})
	if err != nil {
		return 0, err
	}
	defer connection.Drain(response)
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNotFound, http.StatusMethodNotAllowed:
		return response.StatusCode, nil
	}
	return 0, newRefusal(response)
}
