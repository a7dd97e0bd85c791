package apiv1

import "time"

// Mirror is a rule by which tags of a repository elsewhere become versions of an
// algorithm.
type Mirror struct {
	ID              string     `json:"id" format:"uuid"`
	Algorithm       string     `json:"algorithm" doc:"OWNER/NAME." example:"neo/hello"`
	Source          string     `json:"source" doc:"REGISTRY/REPOSITORY." example:"registry.example.com/team/model"`
	Tags            []string   `json:"tags" doc:"Patterns of whole tags, of which the last that fits decides: * stands for anything, ? for a character, [0-9] for one of those; with ! before it one leaves tags out." example:"[\"v*\",\"!*-rc*\"]"`
	Keep            int        `json:"keep" doc:"How many of the newest tags that match are followed." example:"10"`
	IntervalSeconds int        `json:"interval_seconds" example:"900"`
	Disabled        bool       `json:"disabled"`
	HasWebhook      bool       `json:"has_webhook" doc:"The registry may tell of pushes at a secret address."`
	State           string     `json:"state" enum:"waiting,watching,failing,disabled" doc:"waiting: for its first poll. failing: the last poll did."`
	Error           *string    `json:"error" doc:"Why the last poll failed; null: it did not."`
	PolledAt        *time.Time `json:"polled_at" doc:"When the last poll ended; null: none has."`
	NextPollAt      *time.Time `json:"next_poll_at" doc:"null: it is disabled."`
	TagsListed      int        `json:"tags_listed" doc:"Tags that the repository has."`
	TagsMatched     int        `json:"tags_matched"`
	Importing       int        `json:"importing" doc:"Versions of these that are being imported."`
	Failed          int        `json:"failed" doc:"Tags of these that are no version."`
	CreatedAt       time.Time  `json:"created_at"`
	CreatedBy       string     `json:"created_by" example:"neo"`
	UpdatedAt       time.Time  `json:"updated_at"`
	UpdatedBy       string     `json:"updated_by" example:"neo"`
}

// MirrorCreate is the body of POST /v1/mirrors.
type MirrorCreate struct {
	Algorithm       string   `json:"algorithm" doc:"OWNER/NAME, which is made if it is new." example:"neo/hello"`
	Source          string   `json:"source" doc:"REGISTRY/REPOSITORY, without a tag." example:"registry.example.com/team/model"`
	Tags            []string `json:"tags" doc:"Patterns of whole tags, of which the last that fits decides." example:"[\"v*\",\"!*-rc*\"]"`
	Keep            *int     `json:"keep,omitempty" doc:"How many of the newest tags that match are followed, up to 200; left out, 10." example:"10"`
	IntervalSeconds *int     `json:"interval_seconds,omitempty" doc:"60 to 604800; left out, 900." example:"900"`
	Disabled        *bool    `json:"disabled,omitempty" doc:"Not polled until it is turned on." example:"false"`
}

// MirrorUpdate is the body of PATCH /v1/mirrors/{mirror_id}.
type MirrorUpdate struct {
	Tags            *[]string `json:"tags,omitempty" example:"[\"v*\"]"`
	Keep            *int      `json:"keep,omitempty" example:"10"`
	IntervalSeconds *int      `json:"interval_seconds,omitempty" example:"900"`
	Disabled        *bool     `json:"disabled,omitempty" example:"false"`
}

// MirrorTag is a tag that a mirror matches, and what became of it.
type MirrorTag struct {
	Tag     string    `json:"tag" example:"v1.2.0"`
	Digest  *string   `json:"digest" doc:"That the tag had when it was last looked at; null: it was not." example:"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	GitHash *string   `json:"git_hash" doc:"Of the version; null: there is none." example:"89abcdef0123456789abcdef0123456789abcdef"`
	State   *string   `json:"state" enum:"importing,ready,failed" doc:"Of the version."`
	SeenAt  time.Time `json:"seen_at" doc:"When the tag was first seen."`
	Gone    bool      `json:"gone" doc:"The repository has the tag no more; the version stays."`
	Error   *string   `json:"error" doc:"Why there is no version, or why its import failed."`
}

// MirrorTags are the tags of a mirror, the newest first; at most 500.
type MirrorTags struct {
	Results []MirrorTag `json:"results"`
}

// MirrorWebhook is the secret address at which a registry tells a mirror of pushes.
type MirrorWebhook struct {
	URL string `json:"url" doc:"Shown once. The secret in it may also be given as a bearer token." example:"https://mothership.example.com/v1/mirrors/7f1ffd3e-6f0c-4b7c-9d4e-1f6a0f6b7f5a/notify?secret=…"`
}
