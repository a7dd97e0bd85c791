package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/stack"
)

// sharedIngress is a second launch on the ingress class and host of the first:
// it is told before and after, and with a host of its own it answers there.
func (j *journey) sharedIngress(t *testing.T) {
	const second, host = namespace + "-second", "second.example.com"
	operate := func(args ...string) (string, error) {
		return j.Operate(t.Context(), j.satelliteID, j.otherID, args...)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := operate(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("configure", "stage.kubernetes.namespace="+second, "stage.kubernetes.create_namespace=true", "stage.profile=edge")
	taken := "Ingress execution-engine of namespace " + namespace + " already has /v1/algo"
	out, err := operate("doctor")
	var failed *stack.CommandError
	if !errors.As(err, &failed) || failed.Code != 4 || !strings.Contains(out+failed.Stderr, taken) {
		t.Errorf("doctor of the second launch: %v\n%s\nwant exit code 4 and %q", err, out, taken)
	}
	j.refused(t, 4, taken, j.satelliteID, j.otherID, "deploy")

	// Whoever deploys all the same is told who answers.
	out, err = operate("deploy", "--ignore", "ingress host")
	if !errors.As(err, &failed) || failed.Code != 1 || !strings.Contains(failed.Stderr, "another launch answers") {
		t.Errorf("deploy of the second launch on the first's ingress: %v, want exit code 1 and who answers", err)
	}
	if strings.Contains(out, "curl") {
		t.Errorf("a deploy whose callers another launch answers prints how to call it:\n%s", out)
	}
	if got := j.answeredBy(t, ""); got != j.launchID {
		t.Errorf("launch %s answers at the first one's ingress, want %s", got, j.launchID)
	}

	must("configure", "stage.ingress.host="+host)
	var deployed install.DeployResult
	if err := json.Unmarshal([]byte(must("deploy", "-o", "json")), &deployed); err != nil {
		t.Fatal(err)
	}
	for _, a := range deployed.Algorithms {
		if !strings.Contains(a.Curl, "http://"+host+"/v1/algo/"+a.VanityURL) {
			t.Errorf("how to call %s: %s", a.VanityURL, a.Curl)
		}
	}
	if deployed.Reach == nil || deployed.Reach.Answers != reach.ThisLaunch {
		t.Errorf("who answers the second launch's callers: %+v", deployed.Reach)
	}
	if got := j.answeredBy(t, host); got != j.otherID {
		t.Errorf("launch %s answers at %s, want %s", got, host, j.otherID)
	}
	if got := j.answeredBy(t, ""); got != j.launchID {
		t.Errorf("launch %s answers at the first one's ingress, want %s", got, j.launchID)
	}
	must("remove", "--yes")
}

// answeredBy asks through the ingress, by a host's name or none, which launch
// answers.
func (j *journey) answeredBy(t *testing.T, host string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, j.Cluster.IngressURL+"/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	request.Header.Set("Authorization", "Simple "+j.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	var status struct{ Launch struct{ ID string } }
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return status.Launch.ID
}
