package registry

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

const (
	someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	someUUID   = "0190a7b2-5a5c-7c3e-9d1f-3b2a1c0d9e8f"
)

func TestParseRoute(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path string
		want route
	}{
		{"/v2", route{kind: routeBase}},
		{"/v2/", route{kind: routeBase}},
		{"/v2/_catalog", route{kind: routeCatalog}},
		{"/v2/neo/hello/tags/list", route{kind: routeTags, repository: "neo/hello"}},
		{"/v2/neo/hello/manifests/latest", route{kind: routeManifest, repository: "neo/hello", reference: "latest"}},
		{"/v2/neo/hello/manifests/" + someDigest, route{kind: routeManifest, repository: "neo/hello", reference: someDigest}},
		{"/v2/neo/hello/blobs/" + someDigest, route{kind: routeBlob, repository: "neo/hello", reference: someDigest}},
		{"/v2/neo/hello/blobs/uploads/", route{kind: routeUploads, repository: "neo/hello"}},
		{"/v2/neo/hello/blobs/uploads", route{kind: routeUploads, repository: "neo/hello"}},
		{"/v2/neo/hello/blobs/uploads/" + someUUID, route{kind: routeUpload, repository: "neo/hello", reference: someUUID}},
		{"/v2/neo/hello/referrers/" + someDigest, route{kind: routeReferrers, repository: "neo/hello", reference: someDigest}},
		{"/v2/blobs/uploads/manifests/latest", route{kind: routeManifest, repository: "blobs/uploads", reference: "latest"}},
		{"/v2/tags/list/tags/list", route{kind: routeTags, repository: "tags/list"}},
		{"/v2/satellites/" + someUUID + "/manifests/" + someUUID,
			route{kind: routeManifest, repository: "satellites/" + someUUID, reference: someUUID, satelliteID: someUUID}},
		{"/v2/satellites/" + someUUID + "/manifests/" + someDigest,
			route{kind: routeManifest, repository: "satellites/" + someUUID, reference: someDigest, satelliteID: someUUID}},
		{"/v2/satellites/" + someUUID + "/blobs/" + someDigest,
			route{kind: routeBlob, repository: "satellites/" + someUUID, reference: someDigest, satelliteID: someUUID}},
		{"/v2/satellites/" + someUUID + "/tags/list", route{kind: routeTags, repository: "satellites/" + someUUID, satelliteID: someUUID}},
	}
	for _, tt := range tests {
		got, err := parseRoute(tt.path)
		if err != nil || got != tt.want {
			t.Errorf("parseRoute(%q) = %+v, %v, want %+v", tt.path, got, err, tt.want)
		}
		if again, err := parseRoute(got.path()); err != nil || again != got {
			t.Errorf("parseRoute(%q) = %+v, %v; the canonical path of %q means something else", got.path(), again, err, tt.path)
		}
	}
}

func TestParseRouteRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path   string
		status int
		code   string
	}{
		{"/v1/", 404, codeNameUnknown},
		{"/v2x", 404, codeNameUnknown},
		{"/v2/neo", 404, codeNameUnknown},
		{"/v2/neo/hello/nothing/here", 404, codeNameUnknown},
		{"/v2/neo/hello/tags/list/", 404, codeNameUnknown},
		{"/v2/../etc/passwd/manifests/latest", 400, codeNameInvalid},
		{"/v2/neo/../../etc/manifests/latest", 400, codeNameInvalid},
		{"/v2/neo//hello/manifests/latest", 400, codeNameInvalid},
		{"/v2/Neo/hello/manifests/latest", 400, codeNameInvalid},
		{"/v2/neo/he%00llo/manifests/latest", 400, codeNameInvalid},
		{"/v2/neo/_uploads/manifests/latest", 400, codeNameInvalid},
		{"/v2/" + strings.Repeat("a/", 150) + "manifests/latest", 400, codeNameInvalid},
		{"/v2/neo/hello/manifests/..", 400, codeTagInvalid},
		{"/v2/neo/hello/manifests/" + strings.Repeat("a", 129), 400, codeTagInvalid},
		{"/v2/neo/hello/manifests/sha256:short", 400, codeDigestInvalid},
		{"/v2/neo/hello/manifests/sha512:" + strings.Repeat("a", 128), 400, codeDigestInvalid},
		{"/v2/neo/hello/blobs/..", 400, codeDigestInvalid},
		{"/v2/neo/hello/blobs/uploads/..", 404, codeUploadUnknown},
		{"/v2/satellites/x/manifests/latest", 404, codeNameUnknown},
		{"/v2/satellites/" + someUUID + "/more/manifests/latest", 404, codeNameUnknown},
	}
	for _, tt := range tests {
		_, err := parseRoute(tt.path)
		var oci *ociError
		if !errors.As(err, &oci) || oci.status != tt.status || oci.code != tt.code {
			t.Errorf("parseRoute(%q) gives %v, want %d %s", tt.path, err, tt.status, tt.code)
		}
	}
}

func TestRefuseWrite(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path, method string
		status       int
	}{
		{"/v2/neo/hello/manifests/latest", http.MethodDelete, 405},
		{"/v2/neo/hello/blobs/" + someDigest, http.MethodDelete, 405},
		{"/v2/neo/hello/manifests/latest", http.MethodPost, 405},
		{"/v2/neo/hello/blobs/" + someDigest, http.MethodPut, 405},
		{"/v2/neo/hello/blobs/uploads/", http.MethodGet, 405},
		{"/v2/neo/hello/tags/list", http.MethodPut, 405},
		{"/v2/satellites/" + someUUID + "/manifests/" + someUUID, http.MethodPut, 403},
		{"/v2/satellites/" + someUUID + "/blobs/uploads/", http.MethodPost, 403},
		{"/v2/constellation/system/manifests/v1", http.MethodPut, 403},
		{"/v2/constellation/manifests/v1", http.MethodPut, 403},
	}
	for _, tt := range tests {
		route, err := parseRoute(tt.path)
		if err != nil {
			t.Fatal(err)
		}
		var oci *ociError
		if err := refuseWrite(route, tt.method); !errors.As(err, &oci) || oci.status != tt.status {
			t.Errorf("%s %s gives %v, want status %d", tt.method, tt.path, err, tt.status)
		}
	}
	for _, repository := range []string{"alone", "neo/hello/again", "neo/he--llo"} {
		if err := checkAlgorithmRepository(repository); err == nil {
			t.Errorf("checkAlgorithmRepository(%q) lets it pass", repository)
		}
	}
}

func TestSemanticVersion(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3": "1.2.3", "1.2.3-rc.1+b5": "1.2.3-rc.1+b5",
		"": "", "22.04": "", "latest": "", "1.2.3 ": "", "1.2.3-rc1": "1.2.3-rc1", "01.2.3": "", "1.2.3-": "", "1.2.3-rc..1": "", "1.2.3+": "",
	} {
		if got := semanticVersion(label); got != want {
			t.Errorf("semanticVersion(%q) = %q, want %q", label, got, want)
		}
	}
}
