// Package launchtest has what tests of a launch's life on a cluster share: an
// example launch, and real API servers to put it on.
package launchtest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Digest returns a digest of one character.
func Digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// Input is a satellite of two algorithms: foo/bar with all the network
// and two replicas, Deep/Thought_1 isolated.
func Input() render.Input {
	algorithm := func(vanity, c string, replicas int, run constellation.Runtime) bundle.Algorithm {
		return bundle.Algorithm{
			VanityURL: vanity, Algorithm: "Neo/Hello/" + strings.Repeat(c, 40), Replicas: replicas,
			Image: bundle.Image{Repository: "neo/hello", Digest: Digest(c)}, Runtime: run.WithDefaults(),
		}
	}
	plan := &bundle.Plan{
		SchemaVersion: 1,
		Satellite: bundle.Satellite{ID: "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab", Name: "edge", Version: 1,
			ExpiresAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
		Launch:     bundle.Launch{ID: "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", Token: "cst_token"},
		Mothership: bundle.Mothership{URL: "https://mothership.example.com"},
		System:     bundle.System{Version: "v1", Image: bundle.Image{Digest: Digest("e")}},
		Algorithms: []bundle.Algorithm{
			algorithm("foo/bar", "a", 2, constellation.Runtime{}),
			algorithm("Deep/Thought_1", "b", 1, constellation.Runtime{Protocol: constellation.ProtocolHTTP, Port: 8000,
				HealthPath: "/healthy", Network: "isolated", CPU: "500m", Memory: "1Gi", GPU: 1}),
		},
		Keys: []bundle.Key{{ID: "k1", Name: "caller", SHA256: strings.Repeat("0", 64)}},
	}
	return render.Input{
		Plan: plan, APIs: render.LatestAPIs(),
		Images: map[string]string{
			Digest("a"): "registry.example.com/s@" + Digest("a"), Digest("b"): "registry.example.com/s@" + Digest("b"),
			Digest("e"): "registry.example.com/execution-engine@" + Digest("e"),
		},
		Users: map[string]string{Digest("a"): "2222", Digest("b"): "algo"},
		Settings: render.Settings{
			Namespace: "algorithms", Profile: render.ProfileHA, Ingress: render.Ingress{Provider: "generic"},
			MothershipURL: "https://mothership.example.com",
			PullSecret:    render.PullSecretName, PullConfig: []byte(`{"auths":{}}`),
		},
	}
}

// Render returns the objects of a launch.
func Render(t *testing.T, in render.Input) []*unstructured.Unstructured {
	t.Helper()
	objects, err := render.Launch(in)
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	return objects
}

// Find returns one rendered object, an algorithm's by its name without the
// revision; nil when there is none.
func Find(objects []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	for _, o := range objects {
		if Stem(render.Name(o)) == name {
			return o
		}
	}
	return nil
}

var revision = regexp.MustCompile(`([/.]algo-.*)-[0-9a-f]{8}$`)

// Stem leaves the revision of an algorithm's name out.
func Stem(name string) string { return revision.ReplaceAllString(name, "$1") }

// At reads a value at a path such as spec.rules.0.host, nil when there is none.
func At(o *unstructured.Unstructured, path string) any {
	var value any
	if o != nil {
		value = o.Object
	}
	for _, key := range strings.Split(path, ".") {
		key = strings.ReplaceAll(key, "~", ".")
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i := 0
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// Edited is the next version: one algorithm has another image, the other fewer
// replicas.
func Edited() render.Input {
	in := Input()
	in.Plan.Satellite.Version = 2
	in.Plan.Algorithms[0].Replicas = 1
	in.Plan.Algorithms[1].Image.Digest = Digest("a")
	return in
}

// Largest is a satellite of as many algorithms and keys as one may have,
// with the longest of everything that a mothership takes.
func Largest(algorithms, keys int) render.Input {
	in := Input()
	long := func(prefix string, i, length int) string {
		unlike := config.HashKey(fmt.Sprint(prefix, i)) // compresses as badly as names may
		return prefix + strings.Repeat(unlike, length/len(unlike)+1)[:length-len(prefix)]
	}
	in.Plan.Algorithms, in.Plan.Keys = nil, nil
	for i := range algorithms {
		hash := config.HashKey(fmt.Sprint(i))
		image := "sha256:" + hash
		in.Images[image], in.Users[image] = "registry.example.com/"+long("team/", i, 200)+"@"+image, "2222"
		in.Plan.Algorithms = append(in.Plan.Algorithms, bundle.Algorithm{
			VanityURL: long("foo/", i, 200), Algorithm: long("o", i, 63) + "/" + long("n", i, 63) + "/" + hash[:40],
			SemanticVersion: long("1.2.3-", i, constellation.MaxSemanticVersion), Replicas: constellation.MaxReplicas, Image: bundle.Image{Repository: "neo/hello", Digest: image},
			Runtime: constellation.Runtime{
				Protocol: constellation.ProtocolHTTP, Path: long("/", i, constellation.MaxPath), HealthPath: long("/", i, constellation.MaxPath),
				Network: "isolated", CPU: "1500m", Memory: "1536Mi",
				HTTPSettings: constellation.HTTPSettings{
					Response: constellation.ResponseWrapped, HTTP2: true, MaxBody: "9223372036854775807", IdleTimeout: "23h59m59.999999999s",
				},
			}.WithDefaults(),
		})
	}
	expires := time.Date(2099, 1, 1, 0, 0, 0, 123456000, time.UTC)
	for i := range keys {
		key := bundle.Key{
			ID: "9b2c3d4e-1a2b-4c3d-9e4f-" + config.HashKey(fmt.Sprint(i))[:12], Name: long("key ", i, 200), SHA256: config.HashKey(fmt.Sprint("key", i)),
			Rate: constellation.KeyRate{PerSecond: constellation.MaxKeyRate, Burst: constellation.MaxKeyRate}, ExpiresAt: &expires,
		}
		for j := range constellation.MaxKeyAlgorithms {
			key.Algorithms = append(key.Algorithms, in.Plan.Algorithms[(i*7+j*3)%algorithms].VanityURL)
		}
		in.Plan.Keys = append(in.Plan.Keys, key)
	}
	return in
}

// HostOf is a host for each namespace: the tests share a cluster.
func HostOf(namespace string) string { return namespace + ".example.com" }

// Hosted returns the input with the host of its namespace, unless it has one.
func Hosted(in render.Input) render.Input {
	if in.Settings.Ingress.Host == "" {
		in.Settings.Ingress.Host = HostOf(in.Settings.Namespace)
	}
	return in
}

// Queued is the input with a queue whose storage is config.StoragePersistent or
// config.StorageEphemeral.
func Queued(in render.Input, profile, storage string) render.Input {
	in.Settings.Profile = profile
	in.Settings.Queue = render.Queue{On: true, Storage: storage}
	return in
}
