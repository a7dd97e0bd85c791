package launchtest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Routes returns the engines' routes.json.
func (s *Space) Routes(t *testing.T) string {
	t.Helper()
	m, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Get(t.Context(), render.EngineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Data["routes.json"]
}

// Controller makes every Deployment and StatefulSet of the namespace ready until it is told
// to stop, as the real one does once pods are.
func (s *Space) Controller(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			s.makeReady(ctx)
			<-ticker.C
		}
	})
	return func() { cancel(); group.Wait() }
}

func (s *Space) makeReady(ctx context.Context) {
	list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, d := range list.Items {
		n := *d.Spec.Replicas
		status, _ := json.Marshal(map[string]any{"status": map[string]any{
			"observedGeneration": d.Generation, "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n,
			"conditions": []map[string]string{
				{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
				{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
			},
		}})
		_, _ = s.Admin.AppsV1().Deployments(s.Namespace).Patch(ctx, d.Name, types.MergePatchType, status, metav1.PatchOptions{}, "status")
	}
	sets, err := s.Admin.AppsV1().StatefulSets(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, set := range sets.Items {
		n := *set.Spec.Replicas
		status, _ := json.Marshal(map[string]any{"status": map[string]any{
			"observedGeneration": set.Generation, "replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n, "currentReplicas": n,
			"currentRevision": "one", "updateRevision": "one",
		}})
		_, _ = s.Admin.AppsV1().StatefulSets(s.Namespace).Patch(ctx, set.Name, types.MergePatchType, status, metav1.PatchOptions{}, "status")
	}
}

// RoutedVersion is the satellite version of the routes.
func (s *Space) RoutedVersion(t *testing.T) int {
	t.Helper()
	version, err := health.RoutedVersion(t.Context(), s.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// WantComplete wants a version in the routes, and behind each route a Service and
// a Deployment with the image and the replicas of that version.
func (s *Space) WantComplete(t *testing.T, version int) {
	t.Helper()
	if got := s.RoutedVersion(t); got != version {
		t.Errorf("version %d is routed, want %d", got, version)
	}
	var routes config.Routes
	if err := json.Unmarshal([]byte(s.Routes(t)), &routes); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{"foo/bar": Digest("a"), "Deep/Thought_1": Digest("b")}
	if version == 2 {
		wanted["Deep/Thought_1"] = Digest("a")
	}
	for _, route := range routes.Algorithms {
		if _, err := s.Admin.CoreV1().Services(s.Namespace).Get(t.Context(), route.Service, metav1.GetOptions{}); err != nil {
			t.Errorf("the route of %s: %v", route.VanityURL, err)
		}
		d, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(t.Context(), route.Service, metav1.GetOptions{})
		if err != nil {
			t.Errorf("behind %s: %v", route.VanityURL, err)
			continue
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, wanted[route.VanityURL]) {
			t.Errorf("behind %s of version %d runs %s", route.VanityURL, version, image)
		}
		if int(*d.Spec.Replicas) < route.Replicas {
			t.Errorf("behind %s of version %d run %d replicas, want %d", route.VanityURL, version, *d.Spec.Replicas, route.Replicas)
		}
	}
}

// Eventually looks until a condition holds.
func (s *Space) Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not after a minute: %s", what)
		case <-ticker.C:
		}
	}
}
