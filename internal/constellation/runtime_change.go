package constellation

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
