package apiv1

import "time"

// SystemUsage answers GET /v1/system/usage: what the registry's content takes.
type SystemUsage struct {
	Bytes        int64             `json:"bytes" doc:"What all blobs take, each once."`
	Blobs        int64             `json:"blobs"`
	Owners       []OwnerUsage      `json:"owners" doc:"Those that take the most, up to 1000; /v1/system/usage/owners has all."`
	MoreOwners   bool              `json:"more_owners" doc:"There are more than those."`
	Repositories []RepositoryUsage `json:"repositories" doc:"Those that take the most, up to 1000; /v1/system/usage/repositories has all."`

	MoreRepositories bool `json:"more_repositories" doc:"There are more than those."`

	Garbage     Garbage      `json:"garbage" doc:"What a garbage collection would free, as it was last found out."`
	Collections []Collection `json:"collections" doc:"The newest garbage collections, up to ten."`
	CountedAt   *time.Time   `json:"counted_at" doc:"When the storage was last counted whole; null: not yet, so what was stored by an older version is missing."`
}

// OwnerUsage is what an owner's repositories take.
type OwnerUsage struct {
	Owner      string `json:"owner" example:"neo"`
	Bytes      int64  `json:"bytes" doc:"What several of its repositories have counts once."`
	Blobs      int64  `json:"blobs"`
	QuotaBytes *int64 `json:"quota_bytes" doc:"How many bytes it may take; null is any number."`
}

// RepositoryUsage is what a repository takes.
type RepositoryUsage struct {
	Repository string `json:"repository" doc:"In lower case; empty for what is in none." example:"neo/hello"`
	Bytes      int64  `json:"bytes"`
	Blobs      int64  `json:"blobs"`
}

// Garbage is what nothing needs any more, and whose grace is over.
type Garbage struct {
	Bytes        int64             `json:"bytes"`
	Blobs        int64             `json:"blobs" doc:"One that several repositories give up counts in each."`
	Repositories []RepositoryUsage `json:"repositories" doc:"From where the most goes, up to 1000; bytes that another one goes on needing do not count."`

	MoreRepositories bool       `json:"more_repositories" doc:"There are more than those."`
	FoundAt          *time.Time `json:"found_at" doc:"When that was found out: in the background, each minute or, in a large registry, a hundred times as seldom as it takes; null: not yet."`
}

// Collection is a garbage collection of the registry.
type Collection struct {
	StartedAt  time.Time  `json:"started_at"`
	StartedBy  string     `json:"started_by" doc:"An account, or system for the schedule." example:"neo"`
	FinishedAt *time.Time `json:"finished_at" doc:"null while it runs."`
	Manifests  int64      `json:"manifests" doc:"How many it has removed."`
	Blobs      int64      `json:"blobs" doc:"How many it has removed."`
	Bytes      int64      `json:"bytes" doc:"How many it has freed."`
	Error      string     `json:"error,omitempty" doc:"Why it ended before it was done."`
}

// CollectionRequested answers POST /v1/system/collections.
type CollectionRequested struct {
	RequestedBy string `json:"requested_by" doc:"Who asked for it." example:"neo"`
}
