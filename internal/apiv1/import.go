package apiv1

import "time"

// AlgorithmVersionImport is the body of POST …/versions: an image of a registry
// elsewhere that becomes a version.
type AlgorithmVersionImport struct {
	GitHash         string         `json:"git_hash" doc:"40 lower-case hex digits, or 64 of a SHA-256 repository." example:"89abcdef0123456789abcdef0123456789abcdef"`
	SemanticVersion string         `json:"semantic_version,omitempty" doc:"Left out, what the image's label says." example:"1.0.0"`
	Image           string         `json:"image" doc:"REGISTRY/REPOSITORY:TAG or @sha256:…, as for docker pull. A tag is resolved once." example:"registry.example.com/team/model:1.0.0"`
	Runtime         *RuntimeUpdate `json:"runtime,omitempty" doc:"What differs from the image's labels."`
}

// Import is how a version comes, or came, from a registry elsewhere.
type Import struct {
	Image          string     `json:"image" example:"registry.example.com/team/model:1.0.0"`
	Digest         *string    `json:"digest" doc:"What the image's tag was resolved to; null: not yet." example:"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	State          string     `json:"state" enum:"importing,ready,failed"`
	Phase          string     `json:"phase" enum:"waiting,looking,copying,finishing,ended" doc:"waiting: for a server, or until next_attempt_at."`
	Bytes          *int64     `json:"bytes" doc:"Of all that the image needs; null: not known yet."`
	BytesDone      int64      `json:"bytes_done" doc:"Of those, what is here."`
	BytesPerSecond int64      `json:"bytes_per_second" doc:"Of late."`
	Attempts       int        `json:"attempts" doc:"That failed, one after the other."`
	NextAttemptAt  *time.Time `json:"next_attempt_at" doc:"null: none is due."`
	Error          *string    `json:"error" doc:"Why the last attempt failed; null: it did not."`
	RequestedAt    time.Time  `json:"requested_at"`
	RequestedBy    string     `json:"requested_by" example:"neo"`
	StartedAt      *time.Time `json:"started_at"`
	EndedAt        *time.Time `json:"ended_at"`
}

// Registry is a registry elsewhere, and how it is reached.
type Registry struct {
	ID          string    `json:"id" format:"uuid"`
	Host        string    `json:"host" doc:"HOST or HOST:PORT." example:"registry.example.com"`
	PlainHTTP   bool      `json:"plain_http" doc:"It is reached by plain HTTP, where others can read and change what it sends."`
	CA          *string   `json:"ca" doc:"Certificates in PEM that are trusted besides the system's."`
	Username    *string   `json:"username" doc:"null: there is no login." example:"robot"`
	HasPassword bool      `json:"has_password" doc:"Passwords are never shown."`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by" example:"neo"`
	UpdatedAt   time.Time `json:"updated_at"`
	UpdatedBy   string    `json:"updated_by" example:"neo"`

	LastUsedAt *time.Time `json:"last_used_at" doc:"When an import, a mirror or a test last asked there, to the minute; null: never."`
}

// RegistryTest answers POST /v1/registries/{registry_id}/test.
type RegistryTest struct {
	Works bool    `json:"works" doc:"The registry answers, and lets its login in where there is one."`
	Error *string `json:"error" doc:"Why not; null: it works." example:"registry.example.com does not let us in with the login of robot: give its password again"`
}

// RegistryCreate is the body of POST /v1/registries.
type RegistryCreate struct {
	Host      string `json:"host" doc:"HOST or HOST:PORT; docker.io is Docker Hub." example:"registry.example.com"`
	PlainHTTP bool   `json:"plain_http,omitempty" doc:"Reach it by plain HTTP."`
	CA        string `json:"ca,omitempty" doc:"Certificates in PEM that are trusted besides the system's." example:""`
	Username  string `json:"username,omitempty" doc:"Left out, there is no login." example:"robot"`
	Password  string `json:"password,omitempty" doc:"A password or token, which is kept sealed and never shown." example:"secret"`
}

// RegistryUpdate is the body of PATCH /v1/registries/{registry_id}. Another user name
// or another way to reach it needs the password again.
type RegistryUpdate struct {
	PlainHTTP *bool   `json:"plain_http,omitempty"`
	CA        *string `json:"ca,omitempty" doc:"An empty text takes them away." example:""`
	Username  *string `json:"username,omitempty" doc:"An empty text takes the login away." example:"robot"`
	Password  *string `json:"password,omitempty" doc:"A password or token, which is kept sealed and never shown." example:"secret"`
}
