package install_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// A key that was revoked stops working though the new version does not fit,
// and the refusal says so.
func TestRevokedKeysLeaveThoughTheRestDoesNotFit(t *testing.T) {
	kubeconfig, c, key := startAPIServer(t), newCustomer(t), newKey(t)
	login(t, c.host, "zion")
	planKey := func(name string) bundle.Key {
		hash := config.HashKey(name)
		return bundle.Key{ID: hash[:8] + "-1a2b-4c3d-9e4f-" + hash[:12], Name: name, SHA256: hash}
	}
	kept, leaked := planKey("kept"), planKey("leaked")
	first := newMother(t, key, 1, 1000, func(p *bundle.Plan) {
		p.Keys, p.Satellite.AccessVersion = []bundle.Key{kept, leaked}, 1
	})
	second := newMother(t, key, 2, 1000, func(p *bundle.Plan) {
		p.Keys, p.Satellite.AccessVersion = []bundle.Key{kept}, 2
		for i := range 5000 {
			p.Keys = append(p.Keys, planKey(fmt.Sprint(i, strings.Repeat("x", 150))))
		}
	})
	f, o := folder(t), install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(io.Discard)}
	mustGet(t, f, first.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace=algorithms",
		"stage.kubernetes.create_namespace=true", "stage.ingress.provider=none")
	if _, err := install.Deploy(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	mustGet(t, f, second.options())
	_, err := install.Deploy(t.Context(), f, o)
	wantCode(t, err, fault.CodePreflight, "Secret/execution-engine would hold", "revoke keys", "nothing was changed but that revoked keys stop working (leaked)")

	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(rest)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := admin.CoreV1().Secrets("algorithms").Get(t.Context(), render.EngineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := config.ParseKeys(secret.Data[config.KeysFile])
	if err != nil {
		t.Fatal(err)
	}
	has := func(id string) bool {
		return slices.ContainsFunc(keys.Keys, func(k config.Key) bool { return k.ID == id })
	}
	if has(leaked.ID) || !has(kept.ID) {
		t.Errorf("keys %+v, want only the one that was not revoked", keys.Keys)
	}
}
