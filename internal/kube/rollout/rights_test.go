package rollout_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Whoever has exactly the rights that the guide prints can do all of a
// launch's life: doctor, deploy, deploy a change, revoke a key, look, go back,
// remove.
func TestTheGuidesRoleIsEnough(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		ctx := t.Context()
		s.ServeMonitors(t)
		s.ServeFQDNPolicies(t)
		operator := *s
		operator.Cluster = launchtest.Connect(t, s.As(t, "operator", launchtest.GuideRole(t, "../../..", s.Namespace)), s.Namespace)
		durable := func(in render.Input) render.Input {
			in.Settings.Scale = map[string]render.Bounds{"foo/bar": {Least: 0, Most: 9}}
			return launchtest.Queued(in, render.ProfileHA, config.StoragePersistent)
		}
		first, second := durable(launchtest.Input()), durable(launchtest.Edited())
		first = reaching(t, first, "api.example.com:443")
		first.Settings.PodMonitor = render.Monitor{On: true}
		first.Settings.Monitor = render.Monitor{On: true, Labels: map[string]string{"release": "prometheus"}}
		s.Eventually(t, "doctor finds every right", func() bool {
			return launchtest.ProblemOf(launchtest.Preflight(t, operator.Cluster, first), "permissions") == ""
		})
		operator.MustDeploy(t, first)
		wantMonitor(t, s, first)
		wantNamed(t, s, true)
		if actions := operator.MustDeploy(t, second); actions["ServiceMonitor/execution-engine"] != apply.Deleted || actions["PodMonitor/execution-engine"] != apply.Deleted || actions["Service/execution-engine-metrics"] != apply.Deleted {
			t.Errorf("of what reads metrics, when it was switched off: %v", actions)
		}
		wantNamed(t, s, false)
		ignored := []string{"ingress", "queue storage"} // there is no class of either
		if problems := preflight.Problems(preflight.Ignore(launchtest.Preflight(t, operator.Cluster, second), ignored)); len(problems) > 0 {
			t.Errorf("doctor after a deploy: %+v", problems)
		}
		second.Plan.Keys = nil
		if _, err := rollout.Revoke(ctx, operator.Cluster, second.Plan); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		if _, err := operator.RolloutOf(t, second).Preview(ctx); err != nil {
			t.Errorf("Preview: %v", err)
		}
		deployments, err := health.Deployments(ctx, operator.Cluster, first.Plan.Launch.ID, nil)
		if err != nil || len(deployments) != 4 {
			t.Errorf("Health = %v, %v; want three Deployments and the queue", deployments, err)
		}
		if _, err := health.LastHeartbeat(ctx, operator.Cluster); err != nil {
			t.Errorf("LastHeartbeat: %v", err)
		}
		inventory, err := apply.ReadInventory(ctx, operator.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		r := operator.RolloutOf(t, first)
		if r.Objects, err = apply.LoadVersion(ctx, operator.Cluster, first.Plan, inventory, 1); err != nil {
			t.Fatal(err)
		}
		stop := s.Controller(t)
		defer stop()
		if _, err := r.Run(ctx); err != nil {
			t.Errorf("rollback: %v", err)
		}
		wantMonitor(t, s, first)
		wantNamed(t, s, true)
		if inventory, err = apply.ReadInventory(ctx, operator.Cluster); err != nil {
			t.Fatal(err)
		}
		owned, err := apply.Owned(ctx, operator.Cluster, inventory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Remove(ctx, owned); err != nil {
			t.Errorf("Remove: %v", err)
		}
		wantNamed(t, s, false)
		if monitor, err := s.Get(ctx, render.MonitorAPI, render.MonitorKind, render.EngineName); err != nil || monitor != nil {
			t.Errorf("after a removal: %v, %v; want no ServiceMonitor", monitor, err)
		}
	})
}

// wantMonitor wants a ServiceMonitor that its label is selected by, and that
// selects the Service which leads to the engines' metrics.
func wantMonitor(t *testing.T, s *launchtest.Space, in render.Input) {
	t.Helper()
	monitor, err := s.Get(t.Context(), render.MonitorAPI, render.MonitorKind, render.EngineName)
	if err != nil || monitor == nil || monitor.GetLabels()["release"] != "prometheus" || monitor.GetLabels()[render.LabelLaunch] != in.Plan.Launch.ID {
		t.Fatalf("the ServiceMonitor: %v, %v; want it with its label and the launch's", monitor, err)
	}
	pods, err := s.Get(t.Context(), render.MonitorAPI, render.PodMonitorKind, render.EngineName)
	if err != nil || pods == nil || launchtest.At(pods, "spec.podMetricsEndpoints.0.port") != "metrics" || launchtest.At(pods, "spec.selector.matchLabels.app~kubernetes~io/name") != render.EngineName {
		t.Errorf("the PodMonitor: %v, %v; want it of the engines' port metrics", pods, err)
	}
	selector, _ := launchtest.At(monitor, "spec.selector.matchLabels").(map[string]any)
	port := launchtest.At(monitor, "spec.endpoints.0.port")
	services, err := s.Admin.CoreV1().Services(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var selected []string
	for _, service := range services.Items {
		matches := len(selector) > 0
		for key, value := range selector {
			matches = matches && service.Labels[key] == value
		}
		if matches && slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port && p.Port == 9090 }) {
			selected = append(selected, service.Name)
		}
	}
	if diff := cmp.Diff([]string{render.MetricsName}, selected); diff != "" {
		t.Errorf("Services that the ServiceMonitor selects (-want +got):\n%s", diff)
	}
}
