package registry

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// routeKind is an endpoint of the distribution specification.
type routeKind int

const (
	routeBase routeKind = iota
	routeCatalog
	routeTags
	routeManifest
	routeBlob
	routeUploads // POST: begin an upload
	routeUpload  // one upload
	routeReferrers
)

// route is a path of /v2 taken apart. Every part matches a strict grammar, so
// that path(), made again from the parts, means the same to distribution.
type route struct {
	kind        routeKind
	repository  string
	reference   string // of a manifest: tag or digest; of a blob or referrers: digest; of an upload: UUID
	satelliteID string // of a repository under satellites/
}

const (
	satellitesPrefix = "satellites/"
	ownPrefix        = "constellation/"
)

var (
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagPattern        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	uuidPattern       = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// parseRoute takes a path of /v2 apart; the error is an OCI error.
func parseRoute(path string) (route, error) {
	rest, ok := strings.CutPrefix(path, "/v2")
	if !ok || rest != "" && rest[0] != '/' {
		return route{}, errUnknownPath
	}
	switch rest {
	case "", "/":
		return route{kind: routeBase}, nil
	case "/_catalog":
		return route{kind: routeCatalog}, nil
	}
	// The endpoint is the path's tail; a repository may itself have segments
	// such as "blobs", so we look from the end.
	segments := strings.Split(rest[1:], "/")
	n := len(segments)
	if n < 3 {
		return route{}, errUnknownPath
	}
	r := route{reference: segments[n-1]}
	name := segments[:n-2]
	switch tail := segments[n-2]; {
	case n >= 4 && segments[n-3] == "blobs" && tail == "uploads":
		r.kind, name = routeUpload, segments[:n-3]
		if r.reference == "" {
			r.kind = routeUploads
		}
	case tail == "blobs" && r.reference == "uploads": // clients may leave the slash out
		r.kind, r.reference = routeUploads, ""
	case tail == "tags" && r.reference == "list":
		r.kind, r.reference = routeTags, ""
	case tail == "manifests":
		r.kind = routeManifest
	case tail == "blobs":
		r.kind = routeBlob
	case tail == "referrers":
		r.kind = routeReferrers
	default:
		return route{}, errUnknownPath
	}
	r.repository = strings.Join(name, "/")
	if err := r.check(); err != nil {
		return route{}, err
	}
	if id, ok := strings.CutPrefix(r.repository, satellitesPrefix); ok {
		r.satelliteID = id
	}
	return r, nil
}

// check holds the parts to their grammar.
func (r route) check() error {
	if len(r.repository) > 200 || !repositoryPattern.MatchString(r.repository) {
		return ociErrorf(http.StatusBadRequest, codeNameInvalid, "%q is not a repository name: it has lower-case letters and digits, with '.', '_' or '-' between them, and '/' between its parts", shorten(r.repository))
	}
	// satellites/ holds nothing but satellites/SATELLITE_ID, which is a UUID.
	if id, ok := strings.CutPrefix(r.repository, satellitesPrefix); ok && !uuidPattern.MatchString(id) {
		return ociErrorf(http.StatusNotFound, codeNameUnknown, "no repository %s: a bundle is at satellites/SATELLITE_ID:LAUNCH_ID", shorten(r.repository))
	}
	switch r.kind {
	case routeManifest:
		if strings.Contains(r.reference, ":") {
			return checkDigest(r.reference)
		}
		if !tagPattern.MatchString(r.reference) {
			return ociErrorf(http.StatusBadRequest, codeTagInvalid, "%q is not a tag: it has 1 to 128 letters, digits, '_', '.' or '-'", shorten(r.reference))
		}
	case routeBlob, routeReferrers:
		if err := checkDigest(r.reference); err != nil {
			return err
		}
	case routeUpload:
		if !uuidPattern.MatchString(r.reference) {
			return ociErrorf(http.StatusNotFound, codeUploadUnknown, "no such upload")
		}
	}
	return nil
}

func checkDigest(s string) error {
	if d, err := digest.Parse(s); err != nil || d.Algorithm() != digest.SHA256 {
		return ociErrorf(http.StatusBadRequest, codeDigestInvalid, "%q is not a digest of this registry, which are written sha256: and 64 lower-case hex digits", shorten(s))
	}
	return nil
}

// path returns the canonical path of r.
func (r route) path() string {
	base := "/v2/" + r.repository
	switch r.kind {
	case routeCatalog:
		return "/v2/_catalog"
	case routeTags:
		return base + "/tags/list"
	case routeManifest:
		return base + "/manifests/" + r.reference
	case routeBlob:
		return base + "/blobs/" + r.reference
	case routeUploads, routeUpload:
		return base + "/blobs/uploads/" + r.reference
	case routeReferrers:
		return base + "/referrers/" + r.reference
	}
	return "/v2/"
}

// shorten keeps what a client sent from filling our answers.
func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// patterns are the paths of each kind of route, as a trace names them.
var patterns = map[routeKind]string{
	routeBase: "/v2/", routeCatalog: "/v2/_catalog", routeTags: "/v2/{name}/tags/list", routeManifest: "/v2/{name}/manifests/{reference}",
	routeBlob: "/v2/{name}/blobs/{digest}", routeUploads: "/v2/{name}/blobs/uploads/", routeUpload: "/v2/{name}/blobs/uploads/{upload}",
	routeReferrers: "/v2/{name}/referrers/{digest}",
}

// Pattern returns which route of /v2 answers a path, "" for none.
func Pattern(path string) string {
	r, err := parseRoute(path)
	if err != nil {
		return ""
	}
	return patterns[r.kind]
}
