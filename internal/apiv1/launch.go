package apiv1

import "time"

// Launch is one installation of one satellite version.
type Launch struct {
	ID               string     `json:"id" format:"uuid"`
	SatelliteID      string     `json:"satellite_id" format:"uuid"`
	SatelliteVersion int        `json:"satellite_version" doc:"The version it is to run."`
	Name             string     `json:"name" example:"berlin-1"`
	Description      string     `json:"description" example:"The cluster in the basement"`
	CreatedAt        time.Time  `json:"created_at"`
	CreatedBy        string     `json:"created_by" example:"neo"`
	UpdatedAt        time.Time  `json:"updated_at"`
	FirstSeenAt      *time.Time `json:"first_seen_at" doc:"When it first reported; null: never."`
	LastSeenAt       *time.Time `json:"last_seen_at" doc:"When it last reported; null: never."`
	RunningVersion   *int       `json:"running_version" doc:"The version it last said it runs; null: not known."`
}

// LaunchCreate is the body of POST /v1/satellites/{satellite_id}/launches.
type LaunchCreate struct {
	SatelliteVersion int    `json:"satellite_version,omitempty" minimum:"1" doc:"Which version to install; left out, the latest." example:"1"`
	Name             string `json:"name" doc:"At most 200 characters; unique in the satellite." example:"berlin-1"`
	Description      string `json:"description,omitempty" example:"The cluster in the basement"`
}

// LaunchUpdate is the body of PATCH …/launches/{launch_id}: what is left out
// stays.
type LaunchUpdate struct {
	SatelliteVersion *int    `json:"satellite_version,omitempty" doc:"The version that the next get and deploy install." example:"2"`
	Name             *string `json:"name,omitempty" doc:"At most 200 characters; unique in the satellite." example:"berlin-1"`
	Description      *string `json:"description,omitempty" example:"The cluster in the basement"`
}
