package constellation

import (
	"strings"
	"time"
)

// SystemRepository is where the satellite's system image is, tagged with its version.
const SystemRepository = "constellation/system"

// StoredManifest is a manifest in the registry's storage, and what it names.
type StoredManifest struct {
	Repository string
	Digest     string
	Size       int64
	Subject    string   // what it belongs to, "" for most
	Parts      []string // the digests of its blobs and manifests
	Tag        string   // under which it is pushed, "" by digest
}

// StoredBlob is a blob in the registry's storage.
type StoredBlob struct {
	Digest string
	Size   int64
}

// StoredTag is a tag in the registry's storage.
type StoredTag struct{ Tag, Digest string }

// Subject returns the digest that a tag is made of, as those of signatures are
// where a registry has no referrers: sha256-…, with a suffix or none.
func (t StoredTag) Subject() string {
	hex, ok := strings.CutPrefix(t.Tag, "sha256-")
	if !ok || len(hex) < 64 || strings.Trim(hex[:64], "0123456789abcdef") != "" {
		return ""
	}
	return "sha256:" + hex[:64]
}

// Keeps reports whether the tag is its owner's own: no version's, which keeps its
// image by its row, and not made of a digest.
func (t StoredTag) Keeps() bool { return !IsGitHash(t.Tag) && t.Subject() == "" }

// StoredRepository is what a repository has in the registry's storage. Blobs and
// Manifests are digests.
type StoredRepository struct {
	Name      string
	Blobs     []string
	Manifests []string
	Tags      []StoredTag
}

// SpaceUse is what a repository or an owner takes in the registry.
type SpaceUse struct {
	Name  string
	Blobs int64
	Bytes int64
}

// Quota is how many bytes the repositories of an owner may take.
type Quota struct {
	Owner string
	Bytes int64
	SetAt time.Time
	SetBy string
}

// RetentionRule says which versions of algorithms go by themselves: those that no
// satellite's version has, but the newest Keep, Days after they were pushed. Scope
// is "" for every algorithm, an owner, or OWNER/NAME; the narrowest counts.
type RetentionRule struct {
	Scope      string
	Keep, Days int
	SetAt      time.Time
	SetBy      string
}

// Check adds to v what is wrong with the rule.
func (r RetentionRule) Check(v *Validation) {
	if r.Scope != "" {
		owner, name, both := strings.Cut(r.Scope, "/")
		if !both {
			name = "any"
		}
		CheckOwnerName(v, "scope", owner, "scope", name)
	}
	if r.Keep < 0 || r.Keep > maxRetained {
		v.Add("keep_versions", "how many versions stay is a number from 0 to %d; not %d", maxRetained, r.Keep)
	}
	if r.Days < 0 || r.Days > maxRetained {
		v.Add("after_days", "after how many days versions go is a number from 0 to %d; not %d", maxRetained, r.Days)
	}
}

const maxRetained = 100_000

// Collection is a garbage collection of the registry.
type Collection struct {
	ID         int64
	StartedAt  time.Time
	StartedBy  string
	FinishedAt *time.Time
	Manifests  int64
	Blobs      int64
	Bytes      int64
	Error      string
}

// LostContent is what a repository is to have by the books, and its storage lacks.
type LostContent struct {
	Repository string
	Digest     string
	Tag        string   // where it is the tag that is lost, else ""
	Versions   []string // some of the algorithm versions that need it, as OWNER/NAME/HASH
}

// shownVersions is how many versions a message names.
const shownVersions = 3

// String says what is lost.
func (l LostContent) String() string {
	text := l.Digest
	if l.Tag != "" {
		text = "the tag " + l.Tag
	}
	text += " of " + l.Repository
	if len(l.Versions) > 0 {
		text += ", which algorithm version " + strings.Join(l.Versions[:min(shownVersions, len(l.Versions))], ", ") + " needs"
	}
	return text
}

// Err returns a KindNotFound error that says what is lost and what mends it: whoever
// asks again gets no other answer before somebody did that.
func (l LostContent) Err() error {
	return Errorf(KindNotFound, "the mothership's storage lost %s: its admin restores the images from a backup, or somebody pushes this image again; 'mothership storage verify' names all that is lost", l)
}
