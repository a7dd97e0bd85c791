package checks

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

// Login logs in to the configured registry as a push of the system image into a
// repository will, and pushes nothing.
func Login(ctx context.Context, stage settings.Stage, repository string) error {
	r, err := registry.Open(stage.RegistryConfig())
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Connect(ctx); err != nil {
		e := *r.Explain(err, "log in")
		e.Next = "→ " + r.Advice(&e, repository)
		if registry.SpeaksNoTLS(err) {
			e.Next = "→ if plain HTTP is meant, configure both at once: stage.registry.insecure=true stage.container_registry=" + stage.ContainerRegistry
		}
		return &e
	}
	return nil
}

// Resolves looks the name of stage.fqdn up.
func Resolves(ctx context.Context, fqdn string) error {
	host := fqdn
	if u, err := url.Parse(fqdn); err == nil && u.Host != "" {
		host = u.Host
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
		return fault.Errorf(fault.CodeNetwork, "stage.fqdn: this machine does not know the name %q: %s", host, lookupCause(err))
	}
	return nil
}

func lookupCause(err error) string {
	if e := new(net.DNSError); errors.As(err, &e) {
		return e.Err
	}
	return err.Error()
}
