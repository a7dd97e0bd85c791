package install_test

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// A removal leaves the queue's volumes and says so; one that is told to takes
// them, also when the rest is gone already.
func TestRemoveLeavesVolumes(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+kubeconfig,
		"stage.kubernetes.namespace=volumes", "stage.kubernetes.create_namespace=true", "stage.ingress.provider=none",
		"stage.profile=edge", "stage.queue.storage=persistent")
	// Nothing makes volumes here.
	o := install.DeployOptions{NoWait: true, Timeout: time.Minute, Ignored: []string{"queue storage"}, Progress: progress.New(io.Discard)}
	if _, err := install.Deploy(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	remove := func(o install.RemoveOptions) *install.RemoveResult {
		t.Helper()
		o.NoWait, o.Timeout, o.Progress = true, time.Minute, progress.New(io.Discard)
		o.Confirm = func(*install.RemoveResult) (bool, error) { return true, nil }
		result, err := install.Remove(t.Context(), f, o)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	volume := []apply.Object{{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: "queue"}}
	want := func(what string, result *install.RemoveResult, gone, kept []apply.Object) {
		t.Helper()
		if diff := cmp.Diff([][]apply.Object{gone, kept}, [][]apply.Object{result.Volumes, result.KeptVolumes}); diff != "" {
			t.Errorf("%s: volumes that go and stay (-want +got):\n%s", what, diff)
		}
	}
	want("a dry run", remove(install.RemoveOptions{DryRun: true, Volumes: true}), volume, nil)
	want("a removal", remove(install.RemoveOptions{}), nil, volume)
	last := remove(install.RemoveOptions{Volumes: true})
	want("the volumes alone", last, volume, nil)
	// The finalizer that protects a claim in use is taken away by a controller
	// that is not here.
	if diff := cmp.Diff(volume, last.Held); diff != "" || len(last.Objects) != 0 {
		t.Errorf("held (-want +got):\n%s; objects %v", diff, last.Objects)
	}
}
