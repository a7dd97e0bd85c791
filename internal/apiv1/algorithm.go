package apiv1

import "time"

// Algorithm is a named algorithm and its newest version.
type Algorithm struct {
	Owner         string            `json:"owner" example:"neo"`
	Name          string            `json:"name" example:"hello"`
	CreatedAt     time.Time         `json:"created_at"`
	VersionCount  int               `json:"version_count"`
	LatestVersion *AlgorithmVersion `json:"latest_version" doc:"null while there is none."`
}

// AlgorithmVersion is one immutable image of an algorithm, or weights that
// algorithms read.
type AlgorithmVersion struct {
	Algorithm       string    `json:"algorithm" doc:"OWNER/NAME/HASH, as satellites name it." example:"neo/hello/0123456789012345678901234567890123456789"`
	Owner           string    `json:"owner" example:"neo"`
	Name            string    `json:"name" example:"hello"`
	GitHash         string    `json:"git_hash" example:"0123456789012345678901234567890123456789"`
	SemanticVersion *string   `json:"semantic_version" doc:"null when its maker gave none." example:"1.0.0"`
	State           string    `json:"state" enum:"ready,importing,failed" doc:"Satellites can have a version once it is ready."`
	Kind            string    `json:"kind" enum:"algorithm,weights" doc:"Weights have no vanity URL: algorithms read them."`
	Image           Image     `json:"image"`
	Runtime         *Runtime  `json:"runtime" doc:"null for weights, which do not run."`
	Weights         *Weights  `json:"weights,omitempty" doc:"Only of weights."`
	RuntimeRevision int       `json:"runtime_revision" doc:"Of the runtime settings, and the ETag: 1, and one more with each correction."`
	CreatedAt       time.Time `json:"created_at"`
	CreatedBy       string    `json:"created_by" example:"neo"`
	Import          *Import   `json:"import,omitempty" doc:"Only of one that comes, or came, from another registry."`
}

// AlgorithmVersionUpdate is the body of PATCH …/versions/{git_hash}. Versions of
// satellites that are there keep the settings that they have.
type AlgorithmVersionUpdate struct {
	Runtime RuntimeUpdate `json:"runtime" doc:"What is left out stays."`
}

// RuntimeUpdate corrects runtime settings; an empty text takes one back.
type RuntimeUpdate struct {
	Protocol    *string `json:"protocol,omitempty" example:"http"`
	Port        *int    `json:"port,omitempty" example:"8080"`
	Path        *string `json:"path,omitempty" example:"/"`
	Concurrency *int    `json:"concurrency,omitempty" example:"4"`
	HealthPath  *string `json:"health_path,omitempty" example:"/healthz"`
	Network     *string `json:"network,omitempty" example:"full"`
	CPU         *string `json:"cpu,omitempty" example:"500m"`
	Memory      *string `json:"memory,omitempty" example:"512Mi"`
	GPU         *int    `json:"gpu,omitempty" example:"0"`
	Response    *string `json:"response,omitempty" example:"native"`
	HTTP2       *bool   `json:"http2,omitempty" example:"false"`
	MaxBody     *string `json:"max_body,omitempty" example:"100Mi"`
	IdleTimeout *string `json:"idle_timeout,omitempty" example:"5m"`
}

// Weights are files that algorithms read, such as those of a model.
type Weights struct {
	Form         string `json:"form" enum:"image,files" doc:"image: layers of archives, which clusters can mount. files: a file a layer, as oras pushes them."`
	UnpackedSize int64  `json:"unpacked_size" doc:"Bytes of all files."`
	Files        int    `json:"files"`
}

// Image is a manifest in the mothership's registry, pinned by digest.
type Image struct {
	Repository string   `json:"repository" example:"neo/hello"`
	Digest     string   `json:"digest" doc:"Empty until the version is ready." example:"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	MediaType  string   `json:"media_type" example:"application/vnd.oci.image.manifest.v1+json"`
	Size       int64    `json:"size" doc:"Bytes of all it needs: manifests, configs and layers."`
	Platforms  []string `json:"platforms" nullable:"false"`
}

// Runtime is how a version is run, defaults filled in.
type Runtime struct {
	Protocol    string `json:"protocol" enum:"langserver,pipe,http"`
	Port        int    `json:"port" example:"9999"`
	Path        string `json:"path" example:"/"`
	Concurrency int    `json:"concurrency" doc:"Calls at once a replica."`
	HealthPath  string `json:"health_path,omitempty"`
	Network     string `json:"network" enum:"full,isolated"`
	CPU         string `json:"cpu,omitempty" doc:"A Kubernetes quantity." example:"500m"`
	Memory      string `json:"memory,omitempty" doc:"A Kubernetes quantity." example:"512Mi"`
	GPU         int    `json:"gpu,omitempty"`
	Response    string `json:"response,omitempty" enum:"wrapped,native" doc:"Of protocol http: how a call that could be answered either way is."`
	HTTP2       bool   `json:"http2,omitempty" doc:"Replicas speak HTTP/2 without TLS, as gRPC servers do."`
	MaxBody     string `json:"max_body,omitempty" doc:"The largest request that is passed on as it is." example:"100Mi"`
	IdleTimeout string `json:"idle_timeout,omitempty" doc:"How long nothing may be sent either way." example:"90s"`
}
