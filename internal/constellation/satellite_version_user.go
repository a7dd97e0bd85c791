package constellation

// SatelliteVersionUser is a launch that keeps a satellite's version from being removed.
type SatelliteVersionUser struct {
	LaunchID, LaunchName string
	// RunsItStill says that it is to have another version, and reports this one.
	RunsItStill bool
}
