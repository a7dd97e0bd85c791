// Package bundle is the format of what a launch is delivered as: a plan that
// says all a deploy needs, a signed root that vouches for every byte, and an
// OCI image index that carries them (DESIGN section 5). The mothership builds
// it, the installer reads it, and both use this package.
package bundle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SchemaVersion is the version of Plan and Root that this package writes, and
// the newest that it reads.
const SchemaVersion = 1

// Media types of a bundle's own documents.
const (
	MediaTypePlan = "application/vnd.constellation.plan.v1+json"
	MediaTypeRoot = "application/vnd.constellation.launch.v1+json"
)

// Plan is all that a deploy needs with no mothership in reach. It holds the
// launch token, so whoever reads it may report as this launch.
type Plan struct {
	SchemaVersion int         `json:"schema_version"`
	Satellite     Satellite   `json:"satellite"`
	Launch        Launch      `json:"launch"`
	Mothership    Mothership  `json:"mothership"`
	System        System      `json:"system"`
	Algorithms    []Algorithm `json:"algorithms"`
	Keys          []Key       `json:"keys"`
}

// Satellite is the satellite version that the launch wants.
type Satellite struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Version          int       `json:"version"`
	VersionCreatedAt time.Time `json:"version_created_at"`
	ExpiresAt        time.Time `json:"expires_at"`
}

// Launch is the launch itself. Token authenticates its heartbeats.
type Launch struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Token       string `json:"token"`
}

// Mothership is where the plan comes from.
type Mothership struct {
	URL     string `json:"url"`
	Version string `json:"version"`
}

// System is the satellite's system image: the mothership's own binary.
type System struct {
	Version string `json:"version"`
	Image   Image  `json:"image"`
}

// Image is a manifest or index in the bundle.
type Image struct {
	Repository string   `json:"repository"` // in the mothership's registry
	Digest     string   `json:"digest"`
	MediaType  string   `json:"media_type"`
	Platforms  []string `json:"platforms"`
}

// Algorithm is one route of the satellite and the image behind it.
type Algorithm struct {
	VanityURL       string                `json:"vanity_url"`
	Algorithm       string                `json:"algorithm"` // OWNER/NAME/HASH
	SemanticVersion string                `json:"semantic_version,omitempty"`
	Replicas        int                   `json:"replicas"`
	Image           Image                 `json:"image"`
	Runtime         constellation.Runtime `json:"runtime"`
}

// Key may call the satellite's algorithms. SHA256 is lower-case hex of the
// whole key; Algorithms are the vanity URLs that it may call, none: all; a zero
// Rate is no limit.
type Key struct {
	ID         string                `json:"id"`
	Name       string                `json:"name"`
	SHA256     string                `json:"sha256"`
	Algorithms []string              `json:"algorithms,omitempty"`
	Rate       constellation.KeyRate `json:"rate,omitzero"`
	ExpiresAt  *time.Time            `json:"expires_at,omitempty"`
}

// Images gives every image of the plan once, the system image last.
func (p *Plan) Images() []Image {
	var images []Image
	seen := map[string]bool{}
	add := func(image Image) {
		if !seen[image.Digest] {
			seen[image.Digest] = true
			images = append(images, image)
		}
	}
	for _, a := range p.Algorithms {
		add(a.Image)
	}
	add(p.System.Image)
	return images
}

// InternalKey is the API key that the satellite's own algorithms call their
// siblings with (ALGORITHMIA_API_KEY). It is derived from the launch token,
// so it needs no storage and changes when the token does.
func (p *Plan) InternalKey() string {
	mac := hmac.New(sha256.New, []byte(p.Launch.Token))
	mac.Write([]byte("constellation internal key v1"))
	return "cst_internal_" + hex.EncodeToString(mac.Sum(nil))
}

// ParsePlan reads a plan. A plan of a newer schema is refused with what to do.
func ParsePlan(data []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if err := checkSchema("plan", p.SchemaVersion); err != nil {
		return nil, err
	}
	if p.Satellite.ID == "" || p.Launch.ID == "" || p.System.Image.Digest == "" {
		return nil, errors.New("read plan: the satellite, the launch or the system image is missing")
	}
	return &p, nil
}

func checkSchema(what string, version int) error {
	switch {
	case version > SchemaVersion:
		return fmt.Errorf("the %s has schema version %d and this algo-install reads up to %d; use the algo-install of the mothership that made it", what, version, SchemaVersion)
	case version < 1:
		return fmt.Errorf("the %s has no schema version", what)
	}
	return nil
}
