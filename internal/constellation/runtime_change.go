package constellation

import "strconv"

// RuntimeChange corrects some of an algorithm version's settings; what is nil
// stays.
type RuntimeChange struct {
	Protocol    *string
	Port        *int
	Path        *string
	Concurrency *int
	HealthPath  *string
	Network     *string
	CPU         *string
	Memory      *string
	GPU         *int
	Response    *string
	HTTP2       *bool
	MaxBody     *string
	IdleTimeout *string
}

// Apply returns r with the change, which is not checked.
func (c RuntimeChange) Apply(r Runtime) Runtime {
	protocol := string(r.Protocol)
	set(&protocol, c.Protocol)
	r.Protocol = Protocol(protocol)
	set(&r.Port, c.Port)
	set(&r.Path, c.Path)
	set(&r.Concurrency, c.Concurrency)
	set(&r.HealthPath, c.HealthPath)
	set(&r.Network, c.Network)
	set(&r.CPU, c.CPU)
	set(&r.Memory, c.Memory)
	set(&r.GPU, c.GPU)
	set(&r.Response, c.Response)
	set(&r.HTTP2, c.HTTP2)
	set(&r.MaxBody, c.MaxBody)
	set(&r.IdleTimeout, c.IdleTimeout)
	return r
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// RuntimeSetting is a runtime setting by the image label that sets it; Value is ""
// where it is not set.
type RuntimeSetting struct{ Label, Value string }

// Settings returns r's settings in the order in which people read them.
func (r Runtime) Settings() []RuntimeSetting {
	flag := func(on bool) string {
		if on {
			return "true"
		}
		return ""
	}
	gpu := ""
	if r.GPU > 0 {
		gpu = strconv.Itoa(r.GPU)
	}
	return []RuntimeSetting{
		{labelPrefix + "protocol", string(r.Protocol)}, {labelPrefix + "port", strconv.Itoa(r.Port)}, {labelPrefix + "path", r.Path},
		{labelPrefix + "concurrency", strconv.Itoa(r.Concurrency)}, {labelPrefix + "health-path", r.HealthPath}, {labelPrefix + "network", r.Network},
		{labelPrefix + "cpu", r.CPU}, {labelPrefix + "memory", r.Memory}, {labelPrefix + "gpu", gpu}, {labelPrefix + "read-only-root", flag(r.ReadOnlyRoot)},
		{labelPrefix + "response", r.Response}, {labelPrefix + "http2", flag(r.HTTP2)}, {labelPrefix + "max-body", r.MaxBody},
		{labelPrefix + "idle-timeout", r.IdleTimeout},
	}
}

// DiffRuntimes returns which settings differ, by their labels.
func DiffRuntimes(from, to Runtime) []SettingChange {
	var changes []SettingChange
	was := from.Settings()
	for i, now := range to.Settings() {
		if was[i] != now {
			changes = append(changes, SettingChange{now.Label, was[i].Value, now.Value})
		}
	}
	return changes
}

// RuntimeRevision is the runtime settings that an algorithm version had, or has.
type RuntimeRevision struct {
	Revision int
	Runtime  Runtime
}
