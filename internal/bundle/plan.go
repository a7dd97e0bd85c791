// Package bundle is the format of what a launch is delivered as: a plan that
// says all a deploy needs, a signed root that vouches for every byte, and an
// OCI image index that carries them. The mothership builds
// it, the installer reads it, and both use this package.
package bundle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SchemaVersion is the newest version of Plan and Root that this package reads.
// Each is written with the oldest version whose readers lose nothing of it, so
// that an algo-install which is already out there takes every plan that it
// understands whole. A reader passes over fields that it does not know; what
// must not be passed over is of a version of its own:
//
//	1  all that a satellite had at first
//	2  schedules, replicas that follow the load, and keys' callbacks
//	3  how an http algorithm is passed calls: its response, HTTP/2, largest body and idle
//	   time-out; and what algorithms are given beside their image: variables,
//	   volumes and weights
const SchemaVersion = 3

const (
	schemaFirst = 1
	schemaWork  = 2
	schemaOpen  = 3
)

// Schema returns the version that the plan is written with: that of the newest
// part which it has.
func (p *Plan) Schema() int {
	schema := schemaFirst
	if len(p.Schedules) > 0 {
		schema = schemaWork
	}
	for _, k := range p.Keys {
		if k.CallbackURL != "" {
			schema = schemaWork
		}
	}
	for i := range p.Algorithms {
		schema = max(schema, p.Algorithms[i].schema())
	}
	return schema
}

// schema returns the version that an algorithm's parts need.
func (a *Algorithm) schema() int {
	switch {
	case a.needsOpen(), !a.IsZero(), len(a.Weights) > 0:
		return schemaOpen
	case a.Scale().Follows():
		return schemaWork
	}
	return schemaFirst
}

// needsOpen reports whether the algorithm has settings of schema version 3.
func (a *Algorithm) needsOpen() bool {
	return a.Runtime.HTTPSettings != constellation.HTTPSettings{}
}

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
	// Schedules are those of the satellite version, with every default filled in.
	Schedules []constellation.Schedule `json:"schedules,omitempty"`
}

// Satellite is the satellite version that the launch wants.
type Satellite struct {
	ID               string    `json:"id"`
	Name             string    `json:"name"`
	Version          int       `json:"version"`
	VersionCreatedAt time.Time `json:"version_created_at"`
	ExpiresAt        time.Time `json:"expires_at"`
	// AccessVersion is the version of ExpiresAt and of the plan's keys. It only
	// grows; 0 is of a mothership that does not count them.
	AccessVersion int64 `json:"access_version,omitempty"`
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

	// MinReplicas and MaxReplicas let the number of replicas follow the load, as
	// constellation.Scale has them.
	MinReplicas *int `json:"min_replicas,omitempty"`
	MaxReplicas int  `json:"max_replicas,omitempty"`

	constellation.PodSettings // env, env_from and volumes stand beside the rest

	Weights []Weights `json:"weights,omitempty"`
}

// Scale returns how many replicas the algorithm has.
func (a *Algorithm) Scale() constellation.Scale {
	return constellation.Scale{Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas}
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
	// CallbackURL is where results of its asynchronous calls are posted that name
	// no other place; "": nowhere.
	CallbackURL string `json:"callback_url,omitempty"`
}

// Images returns every image of the plan once, the system image last.
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
	for _, w := range p.Weights() {
		add(w.Image)
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

// ParsePlan reads a plan and holds it to its form. A plan of a newer schema is
// refused with what to do.
func ParsePlan(data []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
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
