package reach

import (
	"context"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Host returns the host at which a launch is called, "" while its Ingress has no
// address. A controller gives a new one its address within wait; some give none.
func Host(ctx context.Context, cluster *cluster.Cluster, ingress render.Ingress, namespace string, wait time.Duration) (string, error) {
	switch {
	case ingress.Provider == "none":
		return render.EngineName + "." + namespace, nil
	case ingress.Host != "":
		return ingress.Host, nil
	}
	for deadline := time.Now().Add(wait); ; {
		address, err := health.IngressAddress(ctx, cluster)
		if address != "" || err != nil || wait == 0 || time.Now().After(deadline) {
			return address, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Base returns the URL of a satellite whose callers get to it by a host.
func Base(ingress render.Ingress, host string) string {
	if ingress.TLSSecret != "" {
		return "https://" + host
	}
	return "http://" + host
}

// Endpoint is how to call one algorithm.
type Endpoint struct {
	VanityURL string `json:"vanity_url"`
	Algorithm string `json:"algorithm"`
	Replicas  int    `json:"replicas"`
	URL       string `json:"url"`
	Curl      string `json:"curl"`
}

// Endpoints returns how to call each algorithm that is rendered, at a satellite's
// URL.
func Endpoints(in render.Input, base string) []Endpoint {
	var all []Endpoint
	for _, a := range in.Plan.Algorithms {
		e := Endpoint{VanityURL: a.VanityURL, Algorithm: a.Algorithm, Replicas: in.Replicas(a), URL: base + "/v1/algo/" + a.VanityURL}
		e.Curl = fmt.Sprintf(`curl -H "Authorization: Simple $API_KEY" -H "Content-Type: text/plain" -d Neo %s`, e.URL)
		all = append(all, e)
	}
	return all
}
