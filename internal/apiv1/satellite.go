package apiv1

import "time"

// Satellite is a group of algorithms to be run elsewhere. Its ETag is its
// revision, which grows with every change.
type Satellite struct {
	ID            string            `json:"id" format:"uuid"`
	Name          string            `json:"name" example:"Edge Berlin"`
	CreatedAt     time.Time         `json:"created_at"`
	CreatedBy     string            `json:"created_by" example:"neo"`
	UpdatedAt     time.Time         `json:"updated_at"`
	ExpiresAt     time.Time         `json:"expires_at" doc:"From then on bundles are refused; what runs keeps serving."`
	Labels        map[string]string `json:"labels" nullable:"false" doc:"What it is chosen by, as Kubernetes labels are; they are of no version." example:"{\"region\":\"eu\"}"`
	LatestVersion SatelliteVersion  `json:"latest_version"`
	Launches      LaunchCounts      `json:"launches"`
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
	Algorithms []SatelliteAlgorithm `json:"algorithms,omitzero" nullable:"false" doc:"In a list only with expand=algorithms; else left out."`
	Schedules  []Schedule           `json:"schedules,omitzero" nullable:"false" doc:"In a list only with expand=algorithms; else left out."`
}

// SatelliteAlgorithm is an algorithm version under a vanity URL.
type SatelliteAlgorithm struct {
	Algorithm string `json:"algorithm" doc:"OWNER/NAME/HASH; HASH has 40 lower-case hex digits, or 64 of a SHA-256 repository." example:"neo/hello/0123456789012345678901234567890123456789"`
	VanityURL string `json:"vanity_url" doc:"Where it is called: https://CLUSTER_DOMAIN/v1/algo/VANITY_URL. Two segments or more, unique in a version." example:"foo/bar"`
	Replicas  int    `json:"replicas" doc:"0 to 1000; what the algorithm starts with where max_replicas is given." example:"2"`
	// MinReplicas and MaxReplicas let the number of replicas follow the load.
	MinReplicas *int `json:"min_replicas,omitempty" doc:"The fewest replicas, from 0, while nothing is called; left out, 1. Only with max_replicas." example:"0"`
	MaxReplicas int  `json:"max_replicas,omitempty" doc:"The most replicas, up to 1000: between both, their number follows the load. Left out, it stays what replicas says." example:"10"`

	Env     map[string]string `json:"env,omitzero" doc:"Variables, at most 100; no secrets, which every reader of the satellite would see. Of the next version: left out, those of the latest one at this vanity URL stay; {} has none."`
	EnvFrom []EnvFrom         `json:"env_from,omitzero" nullable:"false" doc:"Variables from Secrets and ConfigMaps. Left out as env; [] has none."`
	Volumes []Volume          `json:"volumes,omitzero" nullable:"false" doc:"Folders that are not of the image. Left out as env; [] has none."`
	Weights []WeightsMount    `json:"weights,omitzero" nullable:"false" doc:"Weights of models that the algorithm reads. Of the next version: left out, those of the latest one at this vanity URL stay; [] has none."`

	RuntimeRevision int `json:"runtime_revision,omitempty" doc:"Which of the runtime settings of the algorithm's version it has: a correction of them does not change a version of a satellite. Of the next version: left out, the newest." example:"1"`
}

// EnvFrom takes variables from a Secret or ConfigMap of the namespace that a launch
// goes into: with key one of its keys as the variable name, else every key as
// the variable of its name. Of these the last of a name holds; env goes before
// them.
type EnvFrom struct {
	Name      string `json:"name,omitempty" doc:"The variable; only with key." example:"HUB_TOKEN"`
	Secret    string `json:"secret,omitempty" doc:"The Secret's name. Give this or config_map." example:"hub"`
	ConfigMap string `json:"config_map,omitempty" doc:"The ConfigMap's name." example:"labels"`
	Key       string `json:"key,omitempty" doc:"The key whose value the variable has; left out, every key is a variable." example:"token"`
}

// Volume is a folder of an algorithm's pods that is not of its image.
type Volume struct {
	Name      string `json:"name" doc:"1 to 50 lower-case letters, digits and '-'; unique in an algorithm." example:"shm"`
	MountPath string `json:"mount_path" doc:"Where it is: a whole path. No two overlap, and some paths are the platform's." example:"/dev/shm"`
	Type      string `json:"type" enum:"pvc,empty,secret,configmap" doc:"pvc: a PersistentVolumeClaim that is there. empty: empty at first, gone with its pod. secret, configmap: a file a key." example:"empty"`
	Source    string `json:"source,omitempty" doc:"The name of the claim, Secret or ConfigMap." example:"models"`
	Size      string `json:"size,omitempty" doc:"Of empty: what it may hold." example:"1Gi"`
	Memory    bool   `json:"memory,omitempty" doc:"Of empty: kept in memory, which counts as the algorithm's own; needs size."`
	ReadOnly  bool   `json:"read_only,omitempty" doc:"It cannot be written to; secret and configmap never can."`
}

// WeightsMount is weights that an algorithm reads, and where.
type WeightsMount struct {
	Artifact string `json:"artifact" doc:"OWNER/NAME/HASH of a version of kind weights." example:"neo/bert/0123456789012345678901234567890123456789"`
	Path     string `json:"path" doc:"The folder in the algorithm's container; it cannot be written to." example:"/models/bert"`
}

// Schedule calls an algorithm of a satellite version again and again. The
// satellite does it itself, whether or not it reaches its mothership.
type Schedule struct {
	Name        string `json:"name" doc:"1 to 63 letters, digits, '_', '.' and '-'; unique in a version." example:"nightly"`
	Cron        string `json:"cron" doc:"When: minute, hour, day of month, month and day of week." example:"0 6 * * 1-5"`
	TimeZone    string `json:"time_zone,omitempty" doc:"The IANA name of the zone that cron is in; left out, UTC." example:"Europe/Berlin"`
	VanityURL   string `json:"vanity_url" doc:"What is called: an algorithm of the same version." example:"foo/bar"`
	Input       string `json:"input,omitempty" doc:"The body of the call, at most 256000 bytes; in base64 where content_type is application/octet-stream. Left out, null for application/json, else nothing." example:"{\"day\":\"yesterday\"}"`
	ContentType string `json:"content_type,omitempty" enum:"application/json,text/plain,application/octet-stream" doc:"Left out, application/json." example:"application/json"`
	Missed      string `json:"missed,omitempty" enum:"skip,once" doc:"What becomes of runs that were due while the satellite was away: none is made up for, or one stands for all. Left out, skip." example:"once"`
}

// SatelliteCreate is the body of POST /v1/satellites.
type SatelliteCreate struct {
	Name       string               `json:"name" doc:"At most 200 characters; unique." example:"Edge Berlin"`
	ExpiresAt  *time.Time           `json:"expires_at,omitempty" doc:"Left out, one year from now."`
	Labels     map[string]string    `json:"labels,omitempty" doc:"At most 32, key=value by Kubernetes' rules; left out, none." example:"{\"region\":\"eu\"}"`
	Algorithms []SatelliteAlgorithm `json:"algorithms" doc:"The algorithms of version 1." nullable:"false"`
	Schedules  []Schedule           `json:"schedules,omitempty" doc:"The schedules of version 1; left out, none." nullable:"false"`
}

// SatelliteUpdate is the body of PATCH /v1/satellites/{satellite_id}: what is
// left out stays. It makes no new version.
type SatelliteUpdate struct {
	Name      *string           `json:"name,omitempty" doc:"At most 200 characters; unique." example:"Edge Munich"`
	ExpiresAt *time.Time        `json:"expires_at,omitempty" doc:"Renews the satellite."`
	Labels    map[string]string `json:"labels,omitzero" doc:"All labels, at most 32; {} has none." example:"{\"region\":\"eu\"}"`
}

// SatelliteVersionCreate is the body of POST …/versions: the whole list of the
// next version.
type SatelliteVersionCreate struct {
	Algorithms []SatelliteAlgorithm `json:"algorithms" doc:"All algorithms of the next version." nullable:"false"`
	Schedules  []Schedule           `json:"schedules,omitzero" doc:"All schedules of the next version. Left out, those of the latest version stay; [] has none." nullable:"false"`
}

// SatelliteVersionMade answers POST …/versions and PATCH …/versions/latest.
type SatelliteVersionMade struct {
	SatelliteVersion
	Created bool `json:"created" doc:"false: the latest version has this content already, and is this one; none was made."`
}

// SatelliteVersionPatch is the body of PATCH …/versions/latest: one algorithm of
// the latest version, whose next version has all else as it is. What is left out
// stays.
type SatelliteVersionPatch struct {
	Algorithm string `json:"algorithm,omitempty" doc:"OWNER/NAME/HASH of what runs from now on." example:"neo/hello/0123456789012345678901234567890123456789"`
	VanityURL string `json:"vanity_url,omitempty" doc:"Which of the latest version's changes; left out, the one place where the algorithm's OWNER/NAME is." example:"foo/bar"`

	Replicas    *int `json:"replicas,omitempty" doc:"0 to 1000." example:"2"`
	MinReplicas *int `json:"min_replicas,omitempty" doc:"Only with max_replicas, or where there is one." example:"0"`
	MaxReplicas *int `json:"max_replicas,omitempty" doc:"0: the number of replicas no longer follows the load." example:"10"`

	Env     map[string]string `json:"env,omitzero" doc:"All variables; {} has none."`
	EnvFrom []EnvFrom         `json:"env_from,omitzero" nullable:"false" doc:"All of them; [] has none."`
	Volumes []Volume          `json:"volumes,omitzero" nullable:"false" doc:"All of them; [] has none."`
	Weights []WeightsMount    `json:"weights,omitzero" nullable:"false" doc:"All of them; [] has none."`

	RuntimeRevision int `json:"runtime_revision,omitempty" doc:"Which of the runtime settings of the algorithm's version it has. Left out beside algorithm, the newest." example:"1"`
}

// VersionDiff answers GET …/versions/{number}/diff?from=N, each list ordered
// by vanity URL.
type VersionDiff struct {
	From    int                  `json:"from"`
	To      int                  `json:"to"`
	Added   []SatelliteAlgorithm `json:"added" nullable:"false"`
	Removed []SatelliteAlgorithm `json:"removed" nullable:"false"`
	Changed []AlgorithmChange    `json:"changed" nullable:"false"`

	Schedules ScheduleDiff `json:"schedules"`
}

// ScheduleDiff is what changed of the schedules, each list ordered by name.
type ScheduleDiff struct {
	Added   []Schedule       `json:"added" nullable:"false"`
	Removed []Schedule       `json:"removed" nullable:"false"`
	Changed []ScheduleChange `json:"changed" nullable:"false"`
}

// ScheduleChange is one name whose schedule differs.
type ScheduleChange struct {
	From Schedule `json:"from"`
	To   Schedule `json:"to"`
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

	CallbackURL string `json:"callback_url" doc:"Where results of its asynchronous calls are posted that name no X-Callback-URL; empty: nowhere."`
}

// SatelliteKeyCreate is the body of POST /v1/satellites/{satellite_id}/keys.
type SatelliteKeyCreate struct {
	Name       string     `json:"name" doc:"At most 200 characters." example:"billing service"`
	Algorithms []string   `json:"algorithms,omitzero" minItems:"1" maxItems:"100" nullable:"false" doc:"The vanity URLs that the key may call, each of a version of the satellite; left out, all. Others answer 403."`
	Rate       *KeyRate   `json:"rate,omitempty" doc:"Left out, no limit. Calls beyond it answer 429 with Retry-After."`
	ExpiresAt  *time.Time `json:"expires_at,omitempty" doc:"Left out, it does not expire."`

	CallbackURL string `json:"callback_url,omitempty" maxLength:"2048" doc:"Where results of its asynchronous calls are posted that name no X-Callback-URL: an http or https URL. Left out, nowhere." example:"https://host.example/results"`
}

// KeyRate limits how often a key may call a launch instance, over all its
// engines.
type KeyRate struct {
	PerSecond float64 `json:"per_second" doc:"Calls per second: above 0, up to 1000000." example:"50"`
	Burst     int     `json:"burst,omitempty" doc:"Calls that may come at once, up to 1000000; left out or 0, those of a second." example:"100"`
}

// SatelliteKeyCreated answers POST …/keys: the only time that the key is shown.
type SatelliteKeyCreated struct {
	SatelliteKey
	Secret string `json:"key" doc:"The key itself. It is shown here and never again." example:"cst_…"`
}
