package apiv1

import "time"

// Satellite is a group of algorithms to be run elsewhere. Its ETag is its
// revision, which grows with every change.
type Satellite struct {
	ID            string           `json:"id" format:"uuid"`
	Name          string           `json:"name" example:"Edge Berlin"`
	CreatedAt     time.Time        `json:"created_at"`
	CreatedBy     string           `json:"created_by" example:"neo"`
	UpdatedAt     time.Time        `json:"updated_at"`
	ExpiresAt     time.Time        `json:"expires_at" doc:"From then on bundles are refused; what runs keeps serving."`
	LatestVersion SatelliteVersion `json:"latest_version"`
	Launches      LaunchCounts     `json:"launches"`
}

// LaunchCounts are how many launch instances a satellite has and how they do;
// what is in no other count was never seen.
type LaunchCounts struct {
	Total    int `json:"total"`
	Up       int `json:"up"`
	Degraded int `json:"degraded"`
	Stale    int `json:"stale"`
}

// SatelliteVersion is one immutable list of algorithms.
type SatelliteVersion struct {
	Number     int                  `json:"number" doc:"1, 2, 3, …"`
	CreatedAt  time.Time            `json:"created_at"`
	CreatedBy  string               `json:"created_by" example:"neo"`
	Algorithms []SatelliteAlgorithm `json:"algorithms" nullable:"false"`
}

// SatelliteAlgorithm is an algorithm version under a vanity URL.
type SatelliteAlgorithm struct {
	Algorithm string `json:"algorithm" doc:"OWNER/NAME/HASH; HASH has 40 lower-case hex digits." example:"neo/hello/0123456789012345678901234567890123456789"`
	VanityURL string `json:"vanity_url" doc:"Where it is called: https://CLUSTER_DOMAIN/v1/algo/VANITY_URL. Two segments or more, unique in a version." example:"foo/bar"`
	Replicas  int    `json:"replicas" doc:"0 to 1000." example:"2"`
}

// SatelliteCreate is the body of POST /v1/satellites.
type SatelliteCreate struct {
	Name       string               `json:"name" doc:"At most 200 characters; unique." example:"Edge Berlin"`
	ExpiresAt  *time.Time           `json:"expires_at,omitempty" doc:"Left out, one year from now."`
	Algorithms []SatelliteAlgorithm `json:"algorithms" doc:"The algorithms of version 1." nullable:"false"`
}

// SatelliteUpdate is the body of PATCH /v1/satellites/{satellite_id}: what is
// left out stays. It makes no new version.
type SatelliteUpdate struct {
	Name      *string    `json:"name,omitempty" doc:"At most 200 characters; unique." example:"Edge Munich"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Renews the satellite."`
}

// SatelliteVersionCreate is the body of POST …/versions: the whole list of the
// next version.
type SatelliteVersionCreate struct {
	Algorithms []SatelliteAlgorithm `json:"algorithms" doc:"All algorithms of the next version." nullable:"false"`
}

// VersionDiff answers GET …/versions/{number}/diff?from=N, each list ordered
// by vanity URL.
type VersionDiff struct {
	From    int                  `json:"from"`
	To      int                  `json:"to"`
	Added   []SatelliteAlgorithm `json:"added" nullable:"false"`
	Removed []SatelliteAlgorithm `json:"removed" nullable:"false"`
	Changed []AlgorithmChange    `json:"changed" nullable:"false"`
}

// AlgorithmChange is one vanity URL whose algorithm or replicas differ.
type AlgorithmChange struct {
	From SatelliteAlgorithm `json:"from"`
	To   SatelliteAlgorithm `json:"to"`
}

// SatelliteKey is a key that may call a satellite's algorithms. The key itself
// is only in SatelliteKeyCreated.
type SatelliteKey struct {
	ID         string     `json:"id" format:"uuid"`
	Name       string     `json:"name" example:"billing service"`
	Prefix     string     `json:"prefix" doc:"The key's first characters, to recognise it by." example:"cst_4f2a"`
	Algorithms []string   `json:"algorithms" nullable:"false" doc:"The vanity URLs that the key may call; empty: all."`
	Rate       *KeyRate   `json:"rate" doc:"null: no limit."`
	CreatedAt  time.Time  `json:"created_at"`
	CreatedBy  string     `json:"created_by" example:"neo"`
	ExpiresAt  *time.Time `json:"expires_at" doc:"null: never."`
	RevokedAt  *time.Time `json:"revoked_at" doc:"null: not revoked."`
	LastUsedAt *time.Time `json:"last_used_at" doc:"When a satellite that reports last told of a call with it, to the minute; null: not known."`
}

// SatelliteKeyCreate is the body of POST /v1/satellites/{satellite_id}/keys.
type SatelliteKeyCreate struct {
	Name       string     `json:"name" doc:"At most 200 characters." example:"billing service"`
	Algorithms []string   `json:"algorithms,omitempty" doc:"The vanity URLs that the key may call, at most 100; left out, all. Others answer 403."`
	Rate       *KeyRate   `json:"rate,omitempty" doc:"Left out, no limit. Calls beyond it answer 429 with Retry-After."`
	ExpiresAt  *time.Time `json:"expires_at,omitempty" doc:"Left out, it does not expire."`
}

// KeyRate limits how often a key may call a launch instance, over all its
// engines.
type KeyRate struct {
	PerSecond float64 `json:"per_second" doc:"Calls per second, up to 1000000; 0: no limit." example:"50"`
	Burst     int     `json:"burst,omitempty" doc:"Calls that may come at once, up to 1000000; left out or 0, those of a second." example:"100"`
}

// SatelliteKeyCreated answers POST …/keys: the only time that the key is shown.
type SatelliteKeyCreated struct {
	SatelliteKey
	Secret string `json:"key" doc:"The key itself. It is shown here and never again." example:"cst_…"`
}
