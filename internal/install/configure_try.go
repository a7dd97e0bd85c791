package install

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/kube"
)

// tryFor is how long a registry or a name server has to answer.
const tryFor = 15 * time.Second

// try finds out whether what was set works from this machine.
func (c *configFile) try(ctx context.Context, l *launch, set []string) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	refuse := func(err error) error {
		told := Error{Code: CodeFailed, Message: err.Error()}
		if e := (*Error)(nil); errors.As(err, &e) {
			told = *e
		}
		told.Message += "; nothing was changed (--no-check sets it without trying)"
		return &told
	}
	if c.Stage.ContainerRegistry != "" && slices.ContainsFunc(set, func(key string) bool {
		return key == "stage.container_registry" || key == "stage.registry.insecure" || key == "stage.registry.ca_file"
	}) {
		if err := c.tryRegistry(ctx, l); err != nil {
			return refuse(err)
		}
	}
	if c.Stage.FQDN != "" && slices.Contains(set, "stage.fqdn") {
		if err := resolves(ctx, c.Stage.FQDN); err != nil {
			return refuse(err)
		}
	}
	return nil
}

// tryRegistry logs in as a push will, and pushes nothing.
func (c *configFile) tryRegistry(ctx context.Context, l *launch) error {
	r, err := openRegistry(c.Stage)
	if err != nil {
		return err
	}
	defer r.transport.CloseIdleConnections()
	if err := r.connect(ctx); err != nil {
		e := *r.explain(err, "log in")
		repository, _, _ := strings.Cut(mapImages(l.plan, c.Stage)[l.plan.System.Image.Digest].Destination, "@")
		e.Next = "→ " + r.fix(&e, repository)
		return &e
	}
	return nil
}

// resolves looks the name of stage.fqdn up.
func resolves(ctx context.Context, fqdn string) error {
	host := fqdn
	if u, err := url.Parse(fqdn); err == nil && u.Host != "" {
		host = u.Host
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
		return errorf(CodeNetwork, "stage.fqdn: this machine does not know the name %q: %s", host, lookupCause(err))
	}
	return nil
}

func lookupCause(err error) string {
	if e := new(net.DNSError); errors.As(err, &e) {
		return e.Err
	}
	return err.Error()
}

// origins fills in where a value comes from that was not set and has no fixed
// default.
func (c *configFile) origins(l *launch, values []Value) []Value {
	context, err := kube.CurrentContext(c.Stage.Kubernetes.KubeconfigPath)
	for i, v := range values {
		if v.State != "unset" {
			continue
		}
		switch v.Key {
		case "stage.kubernetes.context":
			if err == nil && context != "" {
				values[i] = Value{v.Key, context, "default", "the kubeconfig"}
			}
		case "stage.fqdn":
			if c.Stage.Heartbeat != "off" {
				values[i] = Value{v.Key, l.plan.Mothership.URL, "default", "the launch's plan"}
			}
		case "stage.ingress.class":
			if class := kube.Ingress(c.Stage.Ingress).IngressClass(); class != "" {
				values[i] = Value{v.Key, class, "default", "stage.ingress.provider"}
			}
		}
	}
	return values
}
