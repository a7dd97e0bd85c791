package apiv1

import "time"

// SatellitePut is the body of PUT /v1/satellites: the whole of a satellite. What is
// left out is the default, and not what was there, but for expires_at and labels.
type SatellitePut struct {
	ExpiresAt  *time.Time           `json:"expires_at,omitempty" doc:"Left out, it stays; of a new satellite, one year from now."`
	Labels     map[string]string    `json:"labels,omitzero" doc:"All labels, at most 32; left out, those that it has stay; {} has none." example:"{\"region\":\"eu\"}"`
	Algorithms []SatelliteAlgorithm `json:"algorithms" doc:"The algorithms of its version, whole: a setting that is left out is not kept." nullable:"false"`
	Schedules  []Schedule           `json:"schedules,omitempty" doc:"The schedules of its version; left out, none." nullable:"false"`
}

// SatellitePutDone answers PUT /v1/satellites.
type SatellitePutDone struct {
	Satellite
	Result string `json:"result" enum:"created,updated,unchanged" doc:"What the request did."`
}

// LaunchPut is the body of PUT …/launches: the whole of a launch instance. What is
// left out is the default, and not what was there, but for labels.
type LaunchPut struct {
	SatelliteVersion int               `json:"satellite_version,omitempty" doc:"The version it is to run; left out, the latest." example:"1"`
	Description      string            `json:"description,omitempty" doc:"At most 2000 characters; left out, none." example:"The cluster in the basement"`
	Labels           map[string]string `json:"labels,omitzero" doc:"All labels, at most 32; left out, those that it has stay; {} has none." example:"{\"region\":\"eu\"}"`
}

// LaunchPutDone answers PUT …/launches.
type LaunchPutDone struct {
	Launch
	Result string `json:"result" enum:"created,updated,unchanged" doc:"What the request did."`
}
