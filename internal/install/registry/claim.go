package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/install/fault"
)

// Claim says what one version of a launch uses of a registry path. It is kept
// in the registry itself, so that a removal from any machine knows of the
// launches of all others: an artifact in the system image's repository, which
// every launch has, under a tag that names the launch and the claim's content.
type Claim struct {
	SatelliteID   string   `json:"satellite_id"`
	SatelliteName string   `json:"satellite_name"`
	LaunchID      string   `json:"launch_id"`
	LaunchName    string   `json:"launch_name"`
	Version       int      `json:"satellite_version"`
	Server        string   `json:"server,omitempty"`    // of the cluster that was configured when it was pushed,
	Namespace     string   `json:"namespace,omitempty"` // and the namespace; "" where a machine knew none
	Images        []string `json:"images"`              // repository@digest, without the host, which machines may name differently
	// Found are those of the images that were there before any claim named
	// them: who else uses them is not known.
	Found []string `json:"found,omitempty"`

	Tag string `json:"-"`
}

// ClaimType is the media type of a claim.
const ClaimType = "application/vnd.constellation.launch.v1+json"

// ClaimTag is a claim's tag: the launch, and the digest of what it says.
var ClaimTag = regexp.MustCompile(`^launch-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([0-9a-f]{12})$`)

// User names a claim's launch for a message.
func (c Claim) User() string {
	text := fmt.Sprintf("launch %q (%s) of satellite %q, version %d", c.LaunchName, c.LaunchID, c.SatelliteName, c.Version)
	if c.Namespace != "" {
		text += fmt.Sprintf(", in namespace %q of %q", c.Namespace, c.Server)
	}
	return text
}

// OfLaunch reports whether a claim is of a launch in one place. One of a
// machine that knew no cluster is of each place.
func (c Claim) OfLaunch(id, server, namespace string) bool {
	return c.LaunchID == id && (c.Namespace == "" || c.Server == server && c.Namespace == namespace)
}

// ImageName is a destination without the registry's host.
func (r *Registry) ImageName(destination string) (string, error) {
	repository, digest, err := r.Split(destination)
	return repository + "@" + digest, err
}

// Claims reads the claims among a repository's tags.
func (r *Registry) Claims(ctx context.Context, repository string, tags []string) ([]Claim, error) {
	var all []Claim
	for _, tag := range tags {
		m := ClaimTag.FindStringSubmatch(tag)
		if m == nil {
			continue
		}
		one, err := r.readClaim(ctx, repository, tag)
		if err != nil {
			return nil, err
		}
		if one == nil {
			continue // it was just removed
		}
		if one.LaunchID != m[1] {
			return nil, fault.Errorf(fault.CodeIntegrity, "%s:%s is the claim of another launch, %s", repository, tag, one.LaunchID)
		}
		one.Tag = tag
		all = append(all, *one)
	}
	return all, nil
}

func (r *Registry) readClaim(ctx context.Context, repository, tag string) (*Claim, error) {
	what := fmt.Sprintf("read the claim %s:%s", repository, tag)
	data, err := r.read(ctx, repository, "manifests/"+tag)
	if err != nil || data == nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil || manifest.Config.MediaType != ClaimType {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "%s", what)
	}
	if data, err = r.read(ctx, repository, "blobs/"+manifest.Config.Digest.String()); err != nil {
		return nil, err
	}
	var one Claim
	if err := json.Unmarshal(data, &one); err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "%s", what)
	}
	return &one, nil
}
