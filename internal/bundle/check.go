package bundle

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var (
	digestPattern     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	idPattern         = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	repositoryPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]{0,254}$`)
	printablePattern  = regexp.MustCompile(`^[!-~][ -~]{0,254}$`)
	hexPattern        = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// IsDigest reports whether s is "sha256:" and 64 lower-case hex digits: the
// only digests that a bundle has, and that may become the name of a file.
func IsDigest(s string) bool { return digestPattern.MatchString(s) }

// IsID reports whether s is a UUID as the mothership writes it, in lower case
// with its hyphens.
func IsID(s string) bool { return idPattern.MatchString(s) }

// Check holds a root to its form: what it names becomes names of files.
func (r *Root) Check() error {
	if err := checkSchema("launch.json", r.SchemaVersion); err != nil {
		return err
	}
	if err := checkIDs(r.SatelliteID, r.LaunchID, r.Version); err != nil {
		return err
	}
	if err := r.Plan.check("the plan", maxDocument); err != nil {
		return err
	}
	sizes := make(map[string]int64, len(r.Blobs))
	room := int64(math.MaxInt64 / 4) // so that sums of sizes stay numbers
	for _, blob := range r.Blobs {
		if err := blob.check("a blob", room); err != nil {
			return err
		}
		if _, twice := sizes[blob.Digest]; twice {
			return fmt.Errorf("blob %s is named twice", blob.Digest)
		}
		sizes[blob.Digest] = blob.Size
		room -= blob.Size
	}
	for _, image := range r.Images {
		if err := image.check("an image", maxDocument); err != nil {
			return err
		}
		if size, ok := sizes[image.Digest]; !ok || size != image.Size {
			return fmt.Errorf("image %s is not among the blobs", image.Digest)
		}
	}
	return nil
}

// maxDocument is the most bytes of a plan or manifest.
const maxDocument = 64 << 20

func (d Descriptor) check(what string, most int64) error {
	switch {
	case !IsDigest(d.Digest):
		return fmt.Errorf("%s has the digest %q, which is not sha256: and 64 hex digits", what, d.Digest)
	case d.Size < 0 || d.Size > most:
		return fmt.Errorf("%s, %s, has the size %d", what, d.Digest, d.Size)
	case d.MediaType != "" && !printablePattern.MatchString(d.MediaType):
		return fmt.Errorf("%s, %s, has the media type %q", what, d.Digest, d.MediaType)
	}
	return nil
}

func checkIDs(satelliteID, launchID string, version int) error {
	switch {
	case !IsID(satelliteID):
		return fmt.Errorf("the satellite's ID %q is not a UUID in lower case", satelliteID)
	case !IsID(launchID):
		return fmt.Errorf("the launch's ID %q is not a UUID in lower case", launchID)
	case version < 1 || version > math.MaxInt32:
		return fmt.Errorf("there is no satellite version %d", version)
	}
	return nil
}

// Check holds a plan to its form.
func (p *Plan) Check() error {
	if err := checkSchema("plan", p.SchemaVersion); err != nil {
		return err
	}
	if err := checkIDs(p.Satellite.ID, p.Launch.ID, p.Satellite.Version); err != nil {
		return err
	}
	if err := p.checkNames(); err != nil {
		return err
	}
	if !printablePattern.MatchString(p.System.Version) {
		return fmt.Errorf("the system image has the version %q", p.System.Version)
	}
	if err := p.System.Image.check("the system image"); err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, a := range p.Algorithms {
		if err := a.check(); err != nil {
			return err
		}
		if taken[a.VanityURL] {
			return fmt.Errorf("the vanity URL %s is there twice", a.VanityURL)
		}
		taken[a.VanityURL] = true
	}
	for _, k := range p.Keys {
		if !hexPattern.MatchString(k.SHA256) {
			return fmt.Errorf("the key %q has no SHA-256", k.Name)
		}
	}
	return p.checkNewer()
}

// checkNewer holds what a plan has of later schema versions to its form, and to
// that version: an older reader would pass over it.
func (p *Plan) checkNewer() error {
	if schema := p.Schema(); p.SchemaVersion < schema {
		return fmt.Errorf("the plan has schema version %d, and parts of version %d", p.SchemaVersion, schema)
	}
	var v constellation.Validation
	for i := range p.Algorithms {
		p.Algorithms[i].Scale().Check(&v, p.Algorithms[i].VanityURL+": ")
		p.Algorithms[i].Check(&v, p.Algorithms[i].VanityURL+": ")
	}
	vanityURLs, settings := make([]string, len(p.Algorithms)), make([]constellation.PodSettings, len(p.Algorithms))
	for i, a := range p.Algorithms {
		vanityURLs[i], settings[i] = a.VanityURL, a.PodSettings
	}
	constellation.CheckSettingsRoom(&v, "algorithms", settings)
	constellation.CheckSchedules(&v, "schedules", p.Schedules, vanityURLs)
	for _, k := range p.Keys {
		if k.CallbackURL != "" {
			constellation.CheckCallbackURL(&v, "the callback_url of key "+k.ID, k.CallbackURL)
		}
	}
	return v.Err()
}

// CheckAlgorithms holds every algorithm to the rules by which algorithms are
// registered, and by which engines later take their routes or refuse them. A plan
// that comes from elsewhere is held to them where it comes in; one that is here
// already can still be looked at and removed.
func (p *Plan) CheckAlgorithms() error {
	for _, a := range p.Algorithms {
		ref, err := constellation.ParseAlgorithmRef(a.Algorithm)
		if err != nil {
			return fmt.Errorf("the algorithm %q: %w", a.Algorithm, err)
		}
		var v constellation.Validation
		version := constellation.AlgorithmVersion{Owner: ref.Owner, Name: ref.Name, GitHash: ref.Hash, SemanticVersion: a.SemanticVersion, Runtime: a.Runtime.WithDefaults()}
		version.Check(&v)
		if err := v.Err(); err != nil {
			return fmt.Errorf("the algorithm at %s: %w", a.VanityURL, err)
		}
	}
	return nil
}

// checkNames refuses names of more than one line, which could pass for lines of
// whoever prints them.
func (p *Plan) checkNames() error {
	names := map[string]string{"the satellite's name": p.Satellite.Name, "the launch's name": p.Launch.Name, "the mothership's URL": p.Mothership.URL}
	for _, k := range p.Keys {
		names["the name of key "+k.ID] = k.Name
	}
	for what, name := range names {
		if strings.IndexFunc(name, unicode.IsControl) >= 0 {
			return fmt.Errorf("%s has control characters: %q", what, name)
		}
	}
	return nil
}

func (a *Algorithm) check() error {
	var v constellation.Validation
	constellation.CheckVanityURL(&v, "vanity_url", a.VanityURL)
	if err := v.Err(); err != nil {
		return fmt.Errorf("the vanity URL %q: %w", a.VanityURL, err)
	}
	if _, err := constellation.ParseAlgorithmRef(a.Algorithm); err != nil {
		return fmt.Errorf("the algorithm %q: %w", a.Algorithm, err)
	}
	if err := a.checkWeights(); err != nil {
		return err
	}
	return a.Image.check("the image of " + a.VanityURL)
}

func (i *Image) check(what string) error {
	switch {
	case !repositoryPattern.MatchString(i.Repository):
		return fmt.Errorf("%s has the repository %q", what, i.Repository)
	case i.MediaType == "":
		return errors.New(what + " has no media type")
	}
	return Descriptor{MediaType: i.MediaType, Digest: i.Digest}.check(what, maxDocument)
}

// Vouches holds a plan to the root that names it: they are of one launch and
// version, and have the same images.
func (r *Root) Vouches(p *Plan) error {
	if p.Satellite.ID != r.SatelliteID || p.Launch.ID != r.LaunchID || p.Satellite.Version != r.Version {
		return fmt.Errorf("launch.json is of version %d of satellite %s for launch %s, and its plan of version %d of %s for %s",
			r.Version, r.SatelliteID, r.LaunchID, p.Satellite.Version, p.Satellite.ID, p.Launch.ID)
	}
	images := p.Images()
	if len(images) != len(r.Images) {
		return fmt.Errorf("launch.json has %d images, and its plan %d", len(r.Images), len(images))
	}
	for i, image := range images {
		if image.Digest != r.Images[i].Digest || image.MediaType != r.Images[i].MediaType {
			return fmt.Errorf("launch.json has the image %s where its plan has %s", r.Images[i].Digest, image.Digest)
		}
	}
	return nil
}
