package install

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// endpoints notes how to call each algorithm, and returns where the satellite
// is called.
func (s *session) endpoints(ctx context.Context, cluster *cluster.Cluster, in render.Input, result *DeployResult) (base string, err error) {
	switch ingress := in.Settings.Ingress; {
	case ingress.Provider == "none":
		base = "http://" + render.EngineName + "." + in.Settings.Namespace
	case ingress.Host != "":
		base = "http://" + ingress.Host
	default:
		address, err := s.ingressAddress(ctx, cluster, result)
		if err != nil {
			return "", target.Refused(err)
		}
		base = "http://" + address
	}
	if in.Settings.Ingress.TLSSecret != "" {
		base = strings.Replace(base, "http://", "https://", 1)
	}
	for _, a := range s.launch.Plan.Algorithms {
		e := Endpoint{VanityURL: a.VanityURL, Algorithm: a.Algorithm, Replicas: in.Replicas(a), URL: base + "/v1/algo/" + a.VanityURL}
		e.Curl = fmt.Sprintf(`curl -H "Authorization: Simple $API_KEY" -H "Content-Type: text/plain" -d Neo %s`, e.URL)
		result.Algorithms = append(result.Algorithms, e)
	}
	return base, nil
}

// addressTimeout is how long a new ingress has to get its address.
const addressTimeout = 10 * time.Second

// ingressAddress is where the cluster is called. A controller gives a new
// ingress its address a moment after the deploy is done; some give none.
func (s *session) ingressAddress(ctx context.Context, cluster *cluster.Cluster, result *DeployResult) (string, error) {
	fresh := result.Ready && slices.ContainsFunc(result.Changes, func(c apply.Change) bool { return c.Action == apply.Created && c.Object.Kind == "Ingress" })
	for deadline := time.Now().Add(addressTimeout); ; {
		address, err := health.IngressAddress(ctx, cluster)
		if address != "" || err != nil {
			return address, err
		}
		if !fresh || time.Now().After(deadline) {
			return "INGRESS_ADDRESS", nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// keys names the keys that this launch came with and that still work.
func (s *session) keys() []string {
	names := []string{}
	for _, k := range s.launch.Plan.Keys {
		if k.ExpiresAt == nil || time.Now().Before(*k.ExpiresAt) {
			names = append(names, k.Name)
		}
	}
	return names
}

// record keeps what the last deploy did in the launch's logs.
func (s *session) record(result *DeployResult) error {
	data, err := json.Marshal(struct {
		At time.Time `json:"at"`
		*DeployResult
	}{time.Now().UTC(), result})
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "note the deploy")
	}
	return s.folder().WriteFile("logs/deploy-"+time.Now().UTC().Format("20060102T150405.000")+".json", append(data, '\n'))
}
