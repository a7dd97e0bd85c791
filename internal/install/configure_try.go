package install

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/places"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// tryFor is how long a registry or a name server has to answer.
const tryFor = 15 * time.Second

// try finds out whether what was set works from this machine.
func try(ctx context.Context, c *settings.File, l *store.Launch, set []string) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	refuse := func(err error) error {
		told := fault.Error{Code: fault.CodeFailed, Message: err.Error()}
		if e := (*fault.Error)(nil); errors.As(err, &e) {
			told = *e
		}
		told.Message += "; nothing was changed (--no-check sets it without trying)"
		return &told
	}
	if c.Stage.ContainerRegistry != "" && slices.ContainsFunc(set, func(key string) bool {
		return key == "stage.container_registry" || key == "stage.registry.insecure" || key == "stage.registry.ca_file"
	}) {
		if err := tryRegistry(ctx, c, l); err != nil {
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

// remark reports what of the settings that were set is no fault, and may be no
// intention: a mothership that does not answer, and an installation that stays
// where the launch goes no more.
func remark(ctx context.Context, c *settings.File, f store.Folder, l *store.Launch, set []string, online bool, report *progress.Reporter) {
	touches := func(keys ...string) bool {
		return slices.ContainsFunc(set, func(key string) bool { return slices.Contains(keys, key) })
	}
	if online && touches("stage.fqdn", "stage.mothership.proxy", "stage.mothership.ca_file", "stage.heartbeat") {
		if told := reach.Mothership(ctx, c.Stage, l.Plan.Mothership.URL); told != "" {
			report.Line("! %s", told)
		}
	}
	if touches("stage.kubernetes.namespace", "stage.kubernetes.context", "stage.kubernetes.kubeconfig_path") {
		server, err := kubeconfig.Server(c.Stage.Kubernetes.KubeconfigPath, c.Stage.Kubernetes.Context)
		if err != nil {
			return // where the launch goes now is known where it is deployed
		}
		for _, told := range places.Elsewhere(ctx, f, c.Stage, server, nil) {
			report.Line("! %s", told)
		}
	}
}

// tryRegistry logs in as a push will, and pushes nothing.
func tryRegistry(ctx context.Context, c *settings.File, l *store.Launch) error {
	r, err := registry.Open(c.Stage.RegistryConfig())
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Connect(ctx); err != nil {
		e := *r.Explain(err, "log in")
		repository, _, _ := strings.Cut(mapImages(l.Plan, c.Stage)[l.Plan.System.Image.Digest].Destination, "@")
		e.Next = "→ " + r.Advice(&e, repository)
		if registry.SpeaksNoTLS(err) {
			e.Next = "→ if plain HTTP is meant, configure both at once: stage.registry.insecure=true stage.container_registry=" + c.Stage.ContainerRegistry
		}
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

// origins fills in where a value comes from that was not set and has no fixed
// default.
func origins(c *settings.File, l *store.Launch, values []settings.Value) []settings.Value {
	context, err := kubeconfig.CurrentContext(c.Stage.Kubernetes.KubeconfigPath)
	for i, v := range values {
		if v.State != "unset" {
			continue
		}
		switch v.Key {
		case "stage.kubernetes.context":
			if err == nil && context != "" {
				values[i] = settings.Value{Key: v.Key, Value: context, State: "default", From: "the kubeconfig"}
			}
		case "stage.fqdn":
			if c.Stage.Heartbeat != "off" {
				values[i] = settings.Value{Key: v.Key, Value: l.Plan.Mothership.URL, State: "default", From: "the launch's plan"}
			}
		case "stage.ingress.class":
			if class := render.Ingress(c.Stage.Ingress).IngressClass(); class != "" {
				values[i] = settings.Value{Key: v.Key, Value: class, State: "default", From: "stage.ingress.provider"}
			}
		}
	}
	return values
}
