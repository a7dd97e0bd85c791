package install

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/kube"
)

// endpoints says how to call each algorithm.
func (s *session) endpoints(ctx context.Context, cluster *kube.Cluster, in kube.Input, result *DeployResult) error {
	base := ""
	switch ingress := in.Settings.Ingress; {
	case ingress.Provider == "none":
		base = "http://" + kube.EngineName + "." + in.Settings.Namespace
	case ingress.Host != "":
		base = "http://" + ingress.Host
	default:
		address, err := cluster.IngressAddress(ctx)
		if err != nil {
			return refusedByCluster(err)
		}
		if address == "" {
			address = "INGRESS_ADDRESS"
		}
		base = "http://" + address
	}
	if in.Settings.Ingress.TLSSecret != "" {
		base = strings.Replace(base, "http://", "https://", 1)
	}
	for _, a := range s.launch.plan.Algorithms {
		e := Endpoint{VanityURL: a.VanityURL, Algorithm: a.Algorithm, Replicas: in.Wanted(a), URL: base + "/v1/algo/" + a.VanityURL}
		e.Curl = fmt.Sprintf(`curl -H "Authorization: Simple $API_KEY" -H "Content-Type: text/plain" -d Neo %s`, e.URL)
		result.Algorithms = append(result.Algorithms, e)
	}
	return nil
}

// keys names the keys that this launch came with and that still work.
func (s *session) keys() []string {
	names := []string{}
	for _, k := range s.launch.plan.Keys {
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
		return wrap(err, CodeFailed, "note the deploy")
	}
	return writeFile(s.launch.folder.Path("logs", "deploy-"+time.Now().UTC().Format("20060102T150405.000")+".json"), append(data, '\n'))
}
